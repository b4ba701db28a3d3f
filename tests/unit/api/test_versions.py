"""What older clients mean; versions are compared in one place. What they are shown is in the golden answers."""

import ast
from pathlib import Path

import pytest

from tidegate.api.profile import decide_profile
from tidegate.api.query import Query
from tidegate.api.versions import answers, parameters, requests
from tidegate.api.versions.requests import as_newest, refuse_dropped
from tidegate.base.errors import InvalidParameterError
from tidegate.spec.api_version import NEWEST, OLDEST
from tidegate.spec.catalogue import OPERATIONS
from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest, ExecCreateRequest, UpdateRequest

SOURCE = Path(__file__).resolve().parents[3] / "src/tidegate"
CREATE = b"""{
  "Image": "a", "Healthcheck": {"StartInterval": 5}, "MacAddress": "02:42:ac:11:00:09",
  "HostConfig": {"Annotations": {"a": "b"}, "ConsoleSize": [1, 2]},
  "NetworkingConfig": {"EndpointsConfig": {"bridge": {"GwPriority": 7, "MacAddress": "02:42:ac:11:00:08"}, "x": null}}
}"""


def created(version: str) -> CreateRequest:
    return as_newest(decide_profile(version), decode(CreateRequest, CREATE))


def test_what_a_version_does_not_know_says_nothing_in_a_create() -> None:
    newest, old, oldest = decode(CreateRequest, CREATE), created("1.43"), created("1.24")
    assert created("1.56") == newest
    assert old.host_config.annotations == {"a": "b"} and old.host_config.console_size == (1, 2)
    endpoint = old.networking_config.endpoints_config["bridge"]
    assert endpoint is not None and (endpoint.gw_priority, endpoint.mac_address) == (0, "")
    assert old.healthcheck is not None and old.healthcheck.start_interval == 0
    assert (oldest.host_config.annotations, oldest.host_config.console_size) == ({}, None)
    assert (oldest.host_config.ipc_mode, old.host_config.ipc_mode) == ("shareable", "")


def test_and_in_updates_and_execs() -> None:
    update = decode(UpdateRequest, b'{"PidsLimit": 5, "BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": 1}]}')
    assert as_newest(decide_profile("1.54"), update).blkio_device_read_bps == ()
    assert as_newest(decide_profile("1.54"), update).pids_limit == 5
    assert as_newest(decide_profile("1.39"), update).pids_limit is None
    sized = decode(ExecCreateRequest, b'{"ConsoleSize": [1, 2]}')
    assert as_newest(decide_profile("1.41"), sized).console_size is None
    assert as_newest(decide_profile("1.42"), sized).console_size == (1, 2)


def test_a_container_s_own_hardware_address_is_refused_where_it_is_no_more() -> None:
    refuse_dropped(decide_profile("1.51"), decode(CreateRequest, CREATE))
    with pytest.raises(InvalidParameterError, match="container-wide MAC address no longer supported"):
        refuse_dropped(decide_profile("1.52"), decode(CreateRequest, CREATE))


def test_parameters_that_came_later_are_not_read() -> None:
    unread = parameters.unknown_parameters(decide_profile("1.41"), "ContainerStop")
    assert Query("signal=KILL&t=3", unread).text("signal") == "" and Query("t=3", unread).integer("t") == 3
    assert not parameters.unknown_parameters(decide_profile("1.42"), "ContainerStop")


def test_changes_are_of_versions_and_operations_that_there_are() -> None:
    sinces = [change.since for change in (*answers.CHANGES, *requests.CHANGES)] + list(parameters.SINCE.values())
    assert all(OLDEST < since <= NEWEST for since in sinces)
    assert {operation for operation, _ in parameters.SINCE} <= {each.operation_id for each in OPERATIONS}


def test_versions_are_compared_in_the_profile_only() -> None:
    for module in SOURCE.rglob("*.py"):
        if module.relative_to(SOURCE).as_posix() in ("api/profile.py", "spec/api_version.py"):
            continue
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute):
                assert ast.unparse(node.left) != "profile.version", f"{module}:{node.lineno}"
            if isinstance(node, ast.Attribute) and node.attr == "version":
                assert ast.unparse(node.value) not in ("profile", "call.profile"), f"{module}:{node.lineno}"
