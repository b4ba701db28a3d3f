"""Devices of the host that a container is given, looked up when it starts: what was plugged in meanwhile counts.

- a directory stands for every device in it; a symlink for what it leads to;
- a privileged container gets every device, less those that each container has of its own.

Source: opencontainers/cgroups ``devices.GetDevices``, and moby's daemon/oci_linux.go.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.container import DeviceMapping, HostConfig

ALL_DEVICES = DeviceMapping(path_on_host="/dev", path_in_container="/dev")
_OF_EACH_CONTAINER = frozenset(
    ["console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"]
)
_NOT_DEVICES = frozenset(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"])


class DeviceRequest(msgspec.Struct, frozen=True):
    """A device node in the container; ``kind`` is c or b, ``access`` some of rwm."""

    container_path: str
    kind: str
    major: int
    minor: int
    access: str = "rwm"
    file_mode: int = 0o666
    uid: int = 0
    gid: int = 0


def find_devices(host: HostConfig) -> Sequence[DeviceRequest]:
    """The nodes to make; of two at one place the client's. Raises InvalidParameterError for what is no device."""
    found: dict[str, DeviceRequest] = {}
    if host.privileged:
        every = _below(Path(ALL_DEVICES.path_on_host), ALL_DEVICES)
        found = {each.container_path: each for each in every if each.container_path[5:] not in _OF_EACH_CONTAINER}
    for mapping in host.devices:
        found |= {each.container_path: each for each in _devices(mapping)}
    return tuple(found.values())


def device_number(path: str) -> tuple[int, int]:
    """Major and minor of a block device. Raises InvalidParameterError."""
    try:
        facts = Path(path).stat()
    except OSError as error:
        raise InvalidParameterError(f"cannot find the device {path}: {_reason(error)}") from error
    if not stat.S_ISBLK(facts.st_mode):
        raise InvalidParameterError(f"{path} is not a block device")
    return os.major(facts.st_rdev), os.minor(facts.st_rdev)


def _devices(mapping: DeviceMapping) -> Iterable[DeviceRequest]:
    path = Path(mapping.path_on_host)
    try:
        path = path.resolve(strict=True)
        if path.is_dir():
            return list(_below(path, mapping))
        return [_device(path, mapping.path_in_container or mapping.path_on_host, mapping)]
    except OSError as error:
        raise InvalidParameterError(
            f'error gathering device information while adding custom device "{mapping.path_on_host}": {_reason(error)}'
        ) from error


def _below(top: Path, mapping: DeviceMapping) -> Iterator[DeviceRequest]:
    target = Path(mapping.path_in_container or mapping.path_on_host)
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if name not in _NOT_DEVICES]
        for name in files:
            path = Path(directory, name)
            if not path.is_symlink() and (path.is_block_device() or path.is_char_device()):
                yield _device(path, str(target / path.relative_to(top)), mapping)


def _device(path: Path, container_path: str, mapping: DeviceMapping) -> DeviceRequest:
    facts = path.stat()
    kind = "b" if stat.S_ISBLK(facts.st_mode) else "c" if stat.S_ISCHR(facts.st_mode) else ""
    if not kind:
        raise InvalidParameterError(
            f'error gathering device information while adding custom device "{mapping.path_on_host}": not a device node'
        )
    return DeviceRequest(
        container_path=container_path,
        kind=kind,
        major=os.major(facts.st_rdev),
        minor=os.minor(facts.st_rdev),
        access=mapping.cgroup_permissions or "rwm",
        file_mode=stat.S_IMODE(facts.st_mode),
        uid=facts.st_uid,
        gid=facts.st_gid,
    )


def _reason(error: OSError) -> str:
    """As Go says it, which clients read: exit code 127 comes from it."""
    return (error.strerror or str(error)).lower()
