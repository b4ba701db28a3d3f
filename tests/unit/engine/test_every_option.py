"""Nothing that a client may write about a container is accepted and ignored.

Each field of the documents of create has an example here, which must change what is made of the request or be refused;
or it stands in ``WITHOUT_EFFECT`` with a reason, and must change nothing. A field in neither fails the test, and so
does one that a later version of the specification adds (``tests/unit/spec/test_container_documents.py`` has them all).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests.unit.engine.outcome import outcome

from tidegate.base.errors import TidegateError
from tidegate.spec.container import ContainerConfig, EndpointSettings, HostConfig, NetworkingConfig
from tidegate.spec.host_config import BindOptions, ImageOptions, Mount, TmpfsOptions, VolumeOptions

EXAMPLES: Mapping[str, object] = {
    "Hostname": "box",
    "Domainname": "example.com",
    "User": "7",
    "ExposedPorts": {"81/tcp": {}},
    "Tty": True,
    "OpenStdin": True,
    "StdinOnce": True,
    "Env": ["A=1"],
    "Cmd": ["other"],
    "Healthcheck": {"Test": ["CMD", "true"]},
    "Image": "img",
    "Volumes": {"/data": {}},
    "WorkingDir": "/srv",
    "Entrypoint": ["init"],
    "NetworkDisabled": True,
    "MacAddress": "02:42:ac:11:00:09",
    "Labels": {"a": "b"},
    "StopSignal": "INT",
    "StopTimeout": 3,
    "Shell": ["/bin/ash", "-c"],
    "HostConfig.CpuShares": 512,
    "HostConfig.Memory": 1 << 26,
    "HostConfig.NanoCpus": 5 * 10**8,
    "HostConfig.CgroupParent": "/elsewhere",
    "HostConfig.BlkioWeight": 300,
    "HostConfig.BlkioWeightDevice": [{"Path": "/dev/no-disk", "Weight": 300}],
    "HostConfig.BlkioDeviceReadBps": [{"Path": "/dev/no-disk", "Rate": 300}],
    "HostConfig.BlkioDeviceWriteBps": [{"Path": "/dev/no-disk", "Rate": 300}],
    "HostConfig.BlkioDeviceReadIOps": [{"Path": "/dev/no-disk", "Rate": 300}],
    "HostConfig.BlkioDeviceWriteIOps": [{"Path": "/dev/no-disk", "Rate": 300}],
    "HostConfig.CpuPeriod": 50_000,
    "HostConfig.CpuQuota": 50_000,
    "HostConfig.CpuRealtimePeriod": 50_000,
    "HostConfig.CpuRealtimeRuntime": 50_000,
    "HostConfig.CpusetCpus": "0",
    "HostConfig.CpusetMems": "0",
    "HostConfig.Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing"}],
    "HostConfig.DeviceCgroupRules": ["c 1:11 r"],
    "HostConfig.DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["example.com/thing=one"]}],
    "HostConfig.KernelMemory": 1 << 26,
    "HostConfig.KernelMemoryTCP": 1 << 26,
    "HostConfig.MemoryReservation": 1 << 25,
    "HostConfig.MemorySwap": -1,
    "HostConfig.MemorySwappiness": 3,
    "HostConfig.OomKillDisable": True,
    "HostConfig.PidsLimit": 9,
    "HostConfig.Ulimits": [{"Name": "nofile", "Soft": 9, "Hard": 9}],
    "HostConfig.CpuCount": 1,
    "HostConfig.CpuPercent": 1,
    "HostConfig.IOMaximumIOps": 1,
    "HostConfig.IOMaximumBandwidth": 1,
    "HostConfig.Init": True,
    "HostConfig.Binds": ["/tmp:/mnt"],
    "HostConfig.LogConfig": {"Config": {"max-size": "1m"}},
    "HostConfig.NetworkMode": "none",
    "HostConfig.PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
    "HostConfig.RestartPolicy": {"Name": "always"},
    "HostConfig.AutoRemove": True,
    "HostConfig.VolumeDriver": "nfs",
    "HostConfig.VolumesFrom": ["other"],
    "HostConfig.ConsoleSize": [24, 80],
    "HostConfig.Annotations": {"a": "b"},
    "HostConfig.CapAdd": ["SYS_TIME"],
    "HostConfig.CapDrop": ["CHOWN"],
    "HostConfig.CgroupnsMode": "host",
    "HostConfig.Dns": ["10.9.8.7"],
    "HostConfig.DnsOptions": ["timeout:1"],
    "HostConfig.DnsSearch": ["example.com"],
    "HostConfig.ExtraHosts": ["a:10.9.8.7"],
    "HostConfig.GroupAdd": ["7"],
    "HostConfig.IpcMode": "host",
    "HostConfig.Cgroup": "container:other",
    "HostConfig.Links": ["other:alias"],
    "HostConfig.OomScoreAdj": 7,
    "HostConfig.PidMode": "host",
    "HostConfig.Privileged": True,
    "HostConfig.PublishAllPorts": True,
    "HostConfig.ReadonlyRootfs": True,
    "HostConfig.SecurityOpt": ["no-new-privileges"],
    "HostConfig.StorageOpt": {"size": "1G"},
    "HostConfig.Tmpfs": {"/run": "size=1m"},
    "HostConfig.UTSMode": "host",
    "HostConfig.UsernsMode": "container:x",
    "HostConfig.ShmSize": 1 << 20,
    "HostConfig.Sysctls": {"net.core.somaxconn": "7"},
    "HostConfig.Runtime": "other",
    "HostConfig.Isolation": "hyperv",
    "HostConfig.Mounts": [{"Type": "tmpfs", "Target": "/run"}],
    "HostConfig.MaskedPaths": [],
    "HostConfig.ReadonlyPaths": [],
    "NetworkingConfig.EndpointsConfig": {"other": {}},
    "EndpointSettings.IPAMConfig": {"IPv4Address": "172.17.0.9"},
    "EndpointSettings.Links": ["other:alias"],
    "EndpointSettings.Aliases": ["alias"],
    "EndpointSettings.MacAddress": "02:42:ac:11:00:09",
    "EndpointSettings.DriverOpts": {"a": "b"},
}

MOUNTS: Mapping[str, tuple[dict[str, Any], object]] = {
    "Mount.ReadOnly": ({"Type": "bind", "Source": "/s"}, True),
    "Mount.Consistency": ({"Type": "bind", "Source": "/s"}, "eventual"),
    "Mount.BindOptions.Propagation": ({"Type": "bind", "Source": "/s"}, "rslave"),
    "Mount.BindOptions.NonRecursive": ({"Type": "bind", "Source": "/s"}, True),
    "Mount.BindOptions.CreateMountpoint": ({"Type": "bind", "Source": "/s"}, True),
    "Mount.BindOptions.ReadOnlyNonRecursive": ({"Type": "bind", "Source": "/s", "ReadOnly": True}, True),
    "Mount.BindOptions.ReadOnlyForceRecursive": ({"Type": "bind", "Source": "/s"}, True),
    "Mount.VolumeOptions.NoCopy": ({"Type": "volume", "Source": "v"}, True),
    "Mount.VolumeOptions.Labels": ({"Type": "volume", "Source": "v"}, {"a": "b"}),
    "Mount.VolumeOptions.Subpath": ({"Type": "volume", "Source": "v"}, "a"),
    "Mount.VolumeOptions.DriverConfig": (
        {"Type": "volume", "Source": "v"},
        {"Options": {"type": "tmpfs", "device": "tmpfs"}},
    ),
    "Mount.ImageOptions.Subpath": ({"Type": "image", "Source": "img"}, "a"),
    "Mount.TmpfsOptions.SizeBytes": ({"Type": "tmpfs"}, 4096),
    "Mount.TmpfsOptions.Mode": ({"Type": "tmpfs"}, 0o700),
    "Mount.TmpfsOptions.Options": ({"Type": "tmpfs"}, [["exec"]]),
    "Mount.ClusterOptions": ({"Type": "tmpfs"}, {}),
}

_CLIENT = "what the client does, written down for inspect"
_ANSWER = "what the engine answers; a client that sends back what it has inspected asks nothing with it"
WITHOUT_EFFECT: Mapping[str, tuple[object, str]] = {
    "AttachStdin": (True, _CLIENT),
    "AttachStdout": (True, _CLIENT),
    "AttachStderr": (True, _CLIENT),
    "ArgsEscaped": (True, "Windows; Docker takes it on Linux too, where images carry it"),
    "OnBuild": (["RUN x"], "for builds on the image that a commit makes of the container"),
    "HostConfig.ContainerIDFile": ("/tmp/id", _CLIENT),
    "HostConfig.UsernsMode": ("host", "there is no user namespace to be spared"),
    "EndpointSettings.GwPriority": (7, "a container has one network, whose gateway is the only one"),
    "EndpointSettings.NetworkID": ("x", _ANSWER),
    "EndpointSettings.EndpointID": ("x", _ANSWER),
    "EndpointSettings.Gateway": ("172.17.0.77", _ANSWER),
    "EndpointSettings.IPAddress": ("172.17.0.77", _ANSWER),
    "EndpointSettings.IPPrefixLen": (8, _ANSWER),
    "EndpointSettings.IPv6Gateway": ("fe80::1", _ANSWER),
    "EndpointSettings.GlobalIPv6Address": ("2001:db8::1", _ANSWER),
    "EndpointSettings.GlobalIPv6PrefixLen": (8, _ANSWER),
    "EndpointSettings.DNSNames": (["x"], _ANSWER),
}

# What a field needs beside it before it says anything, of what the baseline has not.
COMPANY: Mapping[str, Mapping[str, object]] = {
    "ExposedPorts": {"HostConfig": {"PublishAllPorts": True}},
    "Shell": {"Healthcheck": {"Test": ["CMD-SHELL", "true"]}},
    "HostConfig.MemorySwap": {"HostConfig": {"Memory": 1 << 26}},
    "HostConfig.ConsoleSize": {"Tty": True},
}


def document_with(field: str, value: object) -> dict[str, Any]:
    document = json.loads(json.dumps(COMPANY.get(field, {})))
    owner, _, name = field.rpartition(".")
    if owner == "EndpointSettings":
        document["NetworkingConfig"] = {"EndpointsConfig": {"bridge": {name: value}}}
    elif owner:
        document.setdefault(owner, {})[name] = value
    else:
        document[name] = value
    return cast(dict[str, Any], document)


def every_field() -> Iterator[str]:
    for owner, kind in (
        ("", ContainerConfig),
        ("HostConfig", HostConfig),
        ("NetworkingConfig", NetworkingConfig),
        ("EndpointSettings", EndpointSettings),
    ):
        for field in msgspec.structs.fields(kind):
            yield f"{owner}.{field.encode_name}".lstrip(".")


def test_every_field_is_decided() -> None:
    assert set(every_field()) == EXAMPLES.keys() | WITHOUT_EFFECT.keys()


@pytest.mark.parametrize("field", EXAMPLES)
def test_a_field_is_honoured_or_refused(field: str, tmp_path: Path) -> None:
    baseline = outcome(COMPANY.get(field, {}), tmp_path)
    try:
        asked = outcome(document_with(field, EXAMPLES[field]), tmp_path)
    except TidegateError as refusal:
        assert refusal.message, "a refusal says what is wrong"
        return
    assert asked != baseline, f"{field} is accepted and ignored"


@pytest.mark.parametrize("field", WITHOUT_EFFECT)
def test_what_is_known_to_have_no_effect_has_none(field: str, tmp_path: Path) -> None:
    value, reason = WITHOUT_EFFECT[field]
    assert reason
    assert outcome(document_with(field, value), tmp_path) == outcome({}, tmp_path)


@pytest.mark.parametrize("field", MOUNTS)
def test_a_field_of_a_mount_is_honoured_or_refused(field: str, tmp_path: Path) -> None:
    plain, value = MOUNTS[field]
    *owners, name = field.split(".")[1:]
    asked: dict[str, Any] = {**plain, "Target": "/t"}
    baseline = outcome({"HostConfig": {"Mounts": [{**plain, "Target": "/t"}]}}, tmp_path)
    asked[owners[0] if owners else name] = {name: value} if owners else value
    try:
        changed = outcome({"HostConfig": {"Mounts": [asked]}}, tmp_path)
    except TidegateError as refusal:
        assert refusal.message
        return
    assert changed != baseline, f"{field} is accepted and ignored"


def test_every_field_of_a_mount_is_decided() -> None:
    """Type, Source and Target are what a mount is."""
    parts = {"BindOptions": BindOptions, "VolumeOptions": VolumeOptions, "ImageOptions": ImageOptions}
    found = {each.encode_name for each in msgspec.structs.fields(Mount)} - {"Type", "Source", "Target"}
    for part, kind in {**parts, "TmpfsOptions": TmpfsOptions}.items():
        found.remove(part)
        found |= {f"{part}.{each.encode_name}" for each in msgspec.structs.fields(kind)}
    assert {f"Mount.{each}" for each in found} == MOUNTS.keys()
