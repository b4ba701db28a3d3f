"""Where logs are and what they hold, from the document of a container."""

from pathlib import Path

import msgspec
import pytest
from tests.unit.drivers.logs.remote_logs import remote_log

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.logs import plans
from tidegate.drivers.logs.forwarding.places import Places
from tidegate.drivers.logs.plans import LogPlanner, find_names
from tidegate.model.container import Container, Settings
from tidegate.spec.codec import encode
from tidegate.spec.container import CreateRequest
from tidegate.spec.host_config import HostConfig, LogConfig

PLANNER = LogPlanner(lambda identity: Path("/home") / identity, Places(Path("/logs")))
ID = "c" * 64
LOCAL = Path(f"/home/{ID}/{ID}-json.log")


def made(driver: str, **options: str) -> tuple[Container, CreateRequest]:
    config = {name.replace("_", "-"): value for name, value in options.items()}
    document = CreateRequest(
        cmd=("nginx", "-g"),
        labels={"team": "a", "other": "b"},
        host_config=HostConfig(log_config=LogConfig(driver, config)),
    )
    settings = Settings()
    return Container(ID, "web", 0, "nginx:1", "sha256:1", {}, encode(document), settings), document


def test_a_local_log() -> None:
    container, document = made("json-file", tag="{{.Name}}", labels_regex="^te")
    target = PLANNER.target(container, document)
    assert target is not None and target.remote is None
    assert (target.path, target.attributes) == (LOCAL, {"team": "a", "tag": "web"})
    assert PLANNER.shown_path(container) == PLANNER.readable(container) == LOCAL
    assert PLANNER.shown_path(made("local")[0]) is None and PLANNER.readable(made("local")[0]) == LOCAL


def test_a_remote_log() -> None:
    options = {"gelf_address": "udp://h:1", "labels": "team", "cache_max_size": "1m", "mode": "non-blocking"}
    container, document = made("gelf", **options)
    target = PLANNER.target(container, document)
    assert target is not None and target.attributes == {}
    assert (target.path, target.max_size_bytes, target.compress) == (Path(f"/logs/{ID}/{ID}.log"), 1_000_000, True)
    assert target.remote == msgspec.structs.replace(
        remote_log("gelf", gelf_address="udp://h:1"),
        tag=ID[:12],
        created="1970-01-01T00:00:00Z",
        limit_bytes=1 << 20,
    )
    assert PLANNER.shown_path(container) is None and PLANNER.readable(container) == target.path


def test_what_cannot_be_read() -> None:
    assert PLANNER.readable(made("syslog", cache_disabled="true")[0]) is None
    assert PLANNER.readable(made("none")[0]) is None and PLANNER.target(*made("none")) is None


def test_an_expression_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_names("^a|c$", ["ab", "bc", "d"]) == ["ab", "bc"]
    with pytest.raises(InvalidParameterError, match="is wrong: missing"):
        find_names("(", ["a"])
    monkeypatch.setattr(plans, "MATCHING_TIMEOUT_S", 0.2)
    with pytest.raises(InvalidParameterError, match="takes too long"):
        find_names("(a+)+$", ["a" * 64 + "b"])
