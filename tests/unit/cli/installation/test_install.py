"""``tidegate install`` and ``uninstall`` on a staging directory: what is written, kept, refused and taken away."""

import json
from pathlib import Path

import pytest

from tidegate.base.errors import ConflictError, InternalError, InvalidParameterError
from tidegate.cli.installation import services
from tidegate.cli.installation.plan import SETTINGS_FILE
from tidegate.cli.installation.record import Installed
from tidegate.cli.main import main

UNITS = "usr/local/lib/systemd/system"


def install(root: Path, *words: str) -> int:
    return main(["install", "--root", str(root), "--program", "/usr/bin/tidegate", *words])


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_it_is_idempotent_and_goes_without_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc").mkdir()
    assert install(tmp_path) == 0
    first = everything(tmp_path)
    assert f"{UNITS}/tidegate.target" in first
    assert json.loads(first["etc/tidegate/daemon.json"])["hosts"][0] == "unix:///run/tidegate.sock"
    capsys.readouterr()
    assert install(tmp_path) == 0
    assert everything(tmp_path) == first
    assert {line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()} == {"unchanged"}
    assert main(["uninstall", "--root", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.rglob("*")] == ["etc"]
    assert f"left: {tmp_path}/var/lib/tidegate: images" in capsys.readouterr().out


def test_a_foreign_file_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tmp_path / UNITS / "tidegate-gate.service"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("[Service]\n")
    assert install(tmp_path) == 1
    assert "tidegate-gate.service is not as tidegate installs it" in capsys.readouterr().err
    assert list(everything(tmp_path)) == [f"{UNITS}/tidegate-gate.service"]


def test_a_unit_that_was_changed_is_kept_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path) == 0
    unit = tmp_path / UNITS / "tidegate-engine.service"
    unit.write_text(unit.read_text() + "Nice=-5\n")
    assert install(tmp_path) == 1
    assert main(["uninstall", "--root", str(tmp_path)]) == 0
    assert "tidegate-engine.service: kept as you changed it" in capsys.readouterr().out
    assert list(everything(tmp_path)) == [f"{UNITS}/tidegate-engine.service"]


def test_an_upgrade_replaces_what_it_wrote_and_keeps_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(tmp_path) == 0
    settings = tmp_path / "etc/tidegate/daemon.json"
    settings.write_text('{"data-root": "/srv/tidegate"}')
    assert main(["install", "--root", str(tmp_path), "--program", "/opt/new/tidegate"]) == 0
    assert settings.read_text() == '{"data-root": "/srv/tidegate"}'
    gate = (tmp_path / UNITS / "tidegate-gate.service").read_text()
    assert "ExecStart=/opt/new/tidegate gate" in gate
    assert "ReadWritePaths=/srv/tidegate" in gate
    assert "daemon.json: kept as you changed it" in capsys.readouterr().out
    assert main(["uninstall", "--root", str(tmp_path)]) == 0
    assert "left: " + str(tmp_path / "srv/tidegate") in capsys.readouterr().out
    assert list(everything(tmp_path)) == ["etc/tidegate/daemon.json"]


def test_the_docker_group_stays_until_it_is_taken_back(tmp_path: Path) -> None:
    assert install(tmp_path, "--docker-group") == 0
    assert install(tmp_path) == 0
    settings = json.loads((tmp_path / "etc/tidegate/daemon.json").read_text())
    assert settings == {"group": "docker", "hosts": ["unix:///run/docker.sock", "tcp://127.0.0.1:2376"]}
    group = tmp_path / "usr/local/lib/sysusers.d/tidegate.conf"
    assert group.read_text().endswith("g docker -\n")
    assert install(tmp_path, "--no-docker-group") == 0
    assert not group.exists()
    assert "group" not in json.loads((tmp_path / "etc/tidegate/daemon.json").read_text())


def test_settings_that_are_kept_must_say_the_group_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "etc/tidegate").mkdir(parents=True)
    (tmp_path / "etc/tidegate/daemon.json").write_text("{}")
    assert install(tmp_path, "--docker-group") == 1
    assert 'say "group": "docker" there' in capsys.readouterr().err
    assert list(everything(tmp_path)) == ["etc/tidegate/daemon.json"]


def test_a_dry_run_shows_all_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "    ExecStart=/usr/bin/tidegate engine --config-file /etc/tidegate/daemon.json" in shown
    assert everything(tmp_path) == {}


def test_a_run_that_ended_half_way_is_known_to_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    obstacle = tmp_path / "usr/local/share"
    obstacle.parent.mkdir(parents=True)
    obstacle.touch()  # a file where a directory must be
    assert install(tmp_path) == 1
    assert f"{obstacle}" in capsys.readouterr().err
    assert (tmp_path / UNITS / "tidegate.target").exists()
    assert main(["uninstall", "--root", str(tmp_path)]) == 0
    assert list(everything(tmp_path)) == ["usr/local/share"]
    obstacle.unlink()
    assert install(tmp_path) == 0
    assert main(["uninstall", "--root", str(tmp_path)]) == 0
    assert everything(tmp_path) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["uninstall"], "nothing is installed here: there is no"),
        (["install", "--prefix", "usr"], "prefix: 'usr' is not absolute"),
        (["install", "--program", "bin/tidegate"], "program: 'bin/tidegate' is not absolute"),
    ],
)
def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main([words[0], "--root", str(tmp_path), *words[1:]]) == 1
    assert message in capsys.readouterr().err
    assert everything(tmp_path) == {}


def test_a_host_without_systemd_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="not booted with systemd: nothing was done"):
        services.require_systemd(tmp_path / "none")
    services.require_systemd(tmp_path)


def test_a_socket_that_is_served_is_not_taken() -> None:
    with pytest.raises(ConflictError, match=r"another engine serves the socket /run/docker\.sock"):
        services.require_free_docker_socket(listening=True)


def test_services_restart_only_for_a_change() -> None:
    assert services.commands_of_install(False, False, None) == [("systemctl", "daemon-reload")]
    changed = services.commands_of_install(True, True, Path("/g.conf"))
    assert [words[:2] for words in changed] == [
        ("systemctl", "daemon-reload"),
        ("systemd-sysusers", "/g.conf"),
        ("systemctl", "try-restart"),
        ("systemctl", "enable"),
    ]


def test_only_units_that_are_there_are_ended() -> None:
    before, after = services.commands_of_uninstall({"tidegate.target", "tidegate-gate.service", "_tidegate"})
    assert before == [
        ("systemctl", "disable", "--now", "tidegate.target"),
        ("systemctl", "stop", "tidegate-gate.service"),
    ]
    assert after == [("systemctl", "daemon-reload")]
    assert services.commands_of_uninstall(set())[0] == []


def test_settings_that_cannot_be_read_do_not_keep_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path) == 0
    (tmp_path / "etc/tidegate/daemon.json").write_text("{")
    assert main(["uninstall", "--root", str(tmp_path)]) == 0
    assert "left: the data root that the settings name, which cannot be read" in capsys.readouterr().out
    assert list(everything(tmp_path)) == ["etc/tidegate/daemon.json"]


def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(InternalError, match="ls /nowhere-at-all: .*nowhere-at-all"):
        services.run([("ls", "/nowhere-at-all")])


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    installed = Installed(tmp_path, Path("/usr/local"))
    place = installed.place(SETTINGS_FILE)
    place.parent.mkdir(parents=True)
    place.symlink_to("/etc/passwd")
    with pytest.raises(InvalidParameterError, match="is no plain file"):
        installed.there([SETTINGS_FILE])
