"""What a reload changes, and what it leaves to a restart."""

from tidegate.cli.up_settings import engine_settings
from tidegate.daemon.config import decide_config
from tidegate.daemon.reload import plan_reload, reload_attributes, shown


def test_only_what_can_change_changes_and_the_rest_is_named() -> None:
    running = decide_config({"data-root": "/d"}, {"debug": True, "mtu": 1400, "labels": ["a=1"]})
    wanted = decide_config({"data-root": "/d"}, {"mtu": 9000, "shutdown-timeout": 3, "bip": "10.0.0.1/8"})
    plan = plan_reload(running, wanted)
    assert plan.pending == ("bip", "mtu")
    assert plan.config.settings == {"data-root": "/d", "mtu": 1400, "shutdown-timeout": 3}
    assert plan.config.data_root == running.data_root
    assert plan_reload(plan.config, wanted).pending == ("bip", "mtu")


def test_a_warning_is_told_once() -> None:
    running = decide_config({}, {"userland-proxy": True})
    plan = plan_reload(running, decide_config({}, {"userland-proxy": True, "features": {"x": True}}))
    assert [text.partition(":")[0] for text in plan.warnings] == ["features"]


def test_the_event_has_dockers_attributes() -> None:
    file: dict[str, object] = {
        "labels": ["a=1", "b=2"],
        "insecure-registries": ["r:5000"],
        "max-concurrent-downloads": 7,
        "debug": True,
    }
    file["runtimes"] = {"other": {"path": "/bin/other"}}
    config = decide_config({}, file)
    assert reload_attributes(engine_settings(config, config.exec_root / "gate.sock", None)) == {
        "debug": "true",
        "default-runtime": "crun",
        "insecure-registries": '["r:5000"]',
        "labels": '["a=1","b=2"]',
        "live-restore": "true",
        "max-concurrent-downloads": "7",
        "max-download-attempts": "5",
        "registry-mirrors": "[]",
        "runtimes": "other:/bin/other",
        "shutdown-timeout": "15",
    }


def test_the_log_shows_what_can_change() -> None:
    assert shown({"debug": True, "bip": "10.0.0.1/8"}) == '{"debug": true}'
