"""Devices by path, on the nodes that every Linux has."""

import os
from pathlib import Path

import pytest
from tests.unit.drivers.test_oci_config import request

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.devices import device_number, find_devices
from tidegate.drivers.oci.config import plan_config
from tidegate.drivers.resources import BlockLimit, ResourceRequest, plan_resources
from tidegate.engine.creation.device_rules import parse_device_rule
from tidegate.spec.container import DeviceMapping, HostConfig


def test_a_device_is_found_with_its_numbers_and_mode(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    wanted = (
        DeviceMapping(path_on_host="/dev/null", path_in_container="/dev/mine", cgroup_permissions="r"),
        DeviceMapping(path_on_host=str(tmp_path / "link")),
    )
    mine, linked = find_devices(HostConfig(devices=wanted))
    assert (mine.container_path, mine.kind, mine.major, mine.minor, mine.access) == ("/dev/mine", "c", 1, 3, "r")
    assert (linked.container_path, linked.minor, linked.access) == (str(tmp_path / "link"), 3, "rwm")


def test_what_is_no_device_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none", "no such file or directory"), (Path("/etc/passwd"), "not a device node")):
        with pytest.raises(InvalidParameterError, match=f'custom device "{path}": {reason}'):
            find_devices(HostConfig(devices=(DeviceMapping(path_on_host=str(path)),)))
    with pytest.raises(InvalidParameterError, match="/dev/null is not a block device"):
        device_number("/dev/null")
    with pytest.raises(InvalidParameterError, match="cannot find the device /dev/nope: no such file"):
        device_number("/dev/nope")


def test_a_privileged_container_gets_every_device_but_its_own() -> None:
    found = {each.container_path for each in find_devices(HostConfig(privileged=True))}
    present = {f"/dev/{name}" for name in os.listdir("/dev") if Path("/dev", name).is_char_device()}
    assert not found & {"/dev/null", "/dev/tty", "/dev/ptmx"}
    assert {path for path in present if not Path(path).is_symlink()} - found <= {
        f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "console")
    }


def test_rules_come_after_the_defaults_and_devices() -> None:
    rules = (parse_device_rule("c 10:* rw"), parse_device_rule("a *:* m"))
    devices = find_devices(HostConfig(devices=(DeviceMapping(path_on_host="/dev/null", path_in_container="/dev/x"),)))
    config = plan_config(request(devices=devices, device_rules=rules))
    assert config["linux"]["resources"]["devices"][-3:] == [
        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": True, "type": "c", "major": 10, "access": "rw"},
        {"allow": True, "type": "a", "access": "m"},
    ]
    assert config["linux"]["devices"][0]["path"] == "/dev/x"


def test_limits_of_block_devices_and_realtime() -> None:
    resources = ResourceRequest(
        cpu_realtime_period_us=1000,
        cpu_realtime_runtime_us=500,
        weight_devices=(BlockLimit(8, 0, 100),),
        throttles={"throttleReadBpsDevice": (BlockLimit(8, 0, 1 << 20),)},
    )
    assert plan_resources(resources) == {
        "cpu": {"realtimePeriod": 1000, "realtimeRuntime": 500},
        "blockIO": {
            "weightDevice": [{"major": 8, "minor": 0, "weight": 100}],
            "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1 << 20}],
        },
    }
