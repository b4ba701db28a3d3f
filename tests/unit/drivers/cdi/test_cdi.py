"""Descriptions of devices: which file counts, and what a container's configuration gets."""

import json
from pathlib import Path
from typing import Any

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.cdi.injection import apply_edits, inject_devices
from tidegate.drivers.cdi.specs import DeviceNode, Edits, Hook, read_devices
from tidegate.spec.container import DeviceRequest

YAML = """
cdiVersion: "0.6.0"
kind: acme.com/dev
containerEdits:
  env: [COMMON=1]
devices:
  - name: a
    containerEdits:
      env: ["PATH=/acme"]
      deviceNodes: [{path: /dev/acme, hostPath: /dev/null, permissions: rw, fileMode: 432, gid: 7}]
      mounts: [{hostPath: /opt/acme, containerPath: /acme, options: [ro, nosuid]}]
      hooks: [{hookName: createContainer, path: /usr/bin/acme, args: [acme, x], timeout: 3}]
      additionalGids: [7, 8]
  - name: b
    containerEdits:
      intelRdt: {closID: x}
"""


def config() -> dict[str, Any]:
    return {
        "process": {"env": ["PATH=/bin", "A=1"], "user": {"additionalGids": [7]}},
        "mounts": [{"destination": "/acme", "type": "tmpfs"}],
        "linux": {"devices": [], "resources": {"devices": []}},
    }


def requests(*names: str) -> list[DeviceRequest]:
    return [DeviceRequest(driver="cdi", device_ids=names)]


def test_everything_a_description_says_is_done(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(YAML)
    made = config()
    inject_devices(made, requests("acme.com/dev=a", "acme.com/dev=b"), [tmp_path], every_device=False)
    assert made["process"]["env"] == ["A=1", "PATH=/acme", "COMMON=1"]
    assert made["process"]["user"]["additionalGids"] == [7, 8]
    device = {"path": "/dev/acme", "type": "c", "major": 1, "minor": 3, "fileMode": 0o660, "gid": 7}
    assert made["linux"]["devices"] == [device]
    rule = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}
    assert made["linux"]["resources"]["devices"] == [rule]
    mount = {"destination": "/acme", "type": "bind", "source": "/opt/acme", "options": ["ro", "nosuid", "rbind"]}
    assert made["mounts"] == [mount]
    assert made["hooks"] == {"createContainer": [{"path": "/usr/bin/acme", "args": ["acme", "x"], "timeout": 3}]}
    assert made["linux"]["intelRdt"] == {"closID": "x"}


def test_a_privileged_container_needs_no_rule() -> None:
    made = config()
    apply_edits(made, Edits(device_nodes=(DeviceNode("/dev/null"),)), every_device=True)
    assert made["linux"]["resources"]["devices"] == []
    assert made["linux"]["devices"][0]["minor"] == 3


def spec(kind: str, *names: str, env: str = "X=1") -> str:
    devices = [{"name": name, "containerEdits": {"env": [env]}} for name in names]
    return json.dumps({"cdiVersion": "0.5.0", "kind": kind, "devices": devices})


def test_a_later_directory_wins_and_two_of_one_directory_lose(tmp_path: Path) -> None:
    static, dynamic = tmp_path / "etc", tmp_path / "run"
    static.mkdir()
    dynamic.mkdir()
    (static / "a.json").write_text(spec("acme.com/dev", "a", "b"))
    (dynamic / "a.json").write_text(spec("acme.com/dev", "a", env="X=2"))
    (dynamic / "c1.json").write_text(spec("acme.com/dev", "c"))
    (dynamic / "c2.json").write_text(spec("acme.com/dev", "c"))
    (dynamic / "notes.txt").write_text("nothing")
    (dynamic / "broken.yaml").write_text("kind: [")
    found = read_devices([static, dynamic, tmp_path / "missing"])
    assert {name: device.edits.env for name, device in found.by_name.items()} == {
        "acme.com/dev=a": ("X=2",),
        "acme.com/dev=b": ("X=1",),
    }
    assert [problem.split(":")[0] for problem in found.problems] == [str(dynamic / "broken.yaml"), str(dynamic)]


def test_what_is_not_described_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(
        InvalidParameterError, match="CDI device injection failed: unresolvable CDI devices a.b/c=d"
    ) as told:
        inject_devices(config(), requests("a.b/c=d"), [tmp_path], every_device=False)
    assert "x.json" in told.value.message


def test_a_node_that_is_not_there_and_a_hook_that_there_is_not() -> None:
    with pytest.raises(InvalidParameterError, match="failed to stat CDI host device '/dev/nope'"):
        apply_edits(config(), Edits(device_nodes=(DeviceNode("/dev/nope"),)), every_device=False)
    with pytest.raises(InvalidParameterError, match="is not a device node"):
        apply_edits(config(), Edits(device_nodes=(DeviceNode("/dev/x", host_path="/tmp"),)), every_device=False)
    with pytest.raises(InvalidParameterError, match="invalid hook name 'later'"):
        apply_edits(config(), Edits(hooks=(Hook("later", "/bin/true"),)), every_device=False)
