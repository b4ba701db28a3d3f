"""The files that describe devices, by the Container Device Interface 1.0: JSON or YAML in a few directories.

- They are read when a container is started that asks for one: what was installed meanwhile counts.
- A later directory of the list wins; of two files in one directory that describe the same device neither does.
- A file that cannot be read describes nothing. What is wrong with it is told to whoever asks for a device in vain.

Source: SPEC.md of cncf-tags/container-device-interface, and pkg/cdi/cache.go for the priorities.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tidegate.base.errors import InvalidParameterError

DEFAULT_DIRECTORIES = (Path("/etc/cdi"), Path("/var/run/cdi"))
_SUFFIXES = frozenset({".json", ".yaml", ".yml"})
_MOST_BYTES = 16 << 20


class DeviceNode(msgspec.Struct, frozen=True, rename="camel"):
    """``path`` is the container's, ``host_path`` the host's if another; what is not said is looked up there."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int | None = None
    minor: int | None = None
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class Mount(msgspec.Struct, frozen=True, rename="camel"):
    """As in the OCI configuration."""

    host_path: str
    container_path: str
    options: tuple[str, ...] = ()
    type: str = ""


class Hook(msgspec.Struct, frozen=True, rename="camel"):
    """``hook_name`` is where it stands in the OCI configuration; ``timeout`` is in seconds."""

    hook_name: str
    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int | None = None


class Edits(msgspec.Struct, frozen=True, rename="camel"):
    """What a container's OCI configuration gets. ``intel_rdt`` is taken over as it is."""

    env: tuple[str, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[Mount, ...] = ()
    hooks: tuple[Hook, ...] = ()
    intel_rdt: dict[str, Any] | None = None
    additional_gids: tuple[int, ...] = msgspec.field(default=(), name="additionalGids")


class _Device(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    container_edits: Edits = Edits()


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    cdi_version: str
    kind: str
    devices: tuple[_Device, ...] = ()
    container_edits: Edits = Edits()


class Device(NamedTuple):
    """``edits`` are the device's own, ``common`` those of its file, which are made once for all devices of it."""

    source: Path
    edits: Edits
    common: Edits


class Devices(NamedTuple):
    """Every device by its full name (``vendor.com/class=name``), and what is wrong with the files."""

    by_name: Mapping[str, Device]
    problems: Sequence[str]


def read_devices(directories: Sequence[Path]) -> Devices:
    """Those of every file of ``directories``; one that is not there has none."""
    found: dict[str, Device] = {}
    problems: list[str] = []
    for directory in directories:
        here: dict[str, Device] = {}
        twice: set[str] = set()
        for path in _files(directory):
            try:
                for name, device in _read(path):
                    twice |= {name} & here.keys()
                    here[name] = device
            except (OSError, InvalidParameterError) as error:
                problems.append(f"{path}: {error}")
        problems += [f"{directory}: {name} is described twice" for name in sorted(twice)]
        found = {**found, **here}
        for name in twice:
            del found[name]
    return Devices(found, problems)


def _files(directory: Path) -> Sequence[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix in _SUFFIXES)
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _read(path: Path) -> Iterator[tuple[str, Device]]:
    """Raises OSError; InvalidParameterError for what is no specification."""
    import yaml  # few containers ask for such a device, and every engine would pay for it

    with path.open("rb") as file:
        text = file.read(_MOST_BYTES)
    try:
        content = msgspec.json.decode(text) if path.suffix == ".json" else yaml.safe_load(text)
        spec = msgspec.convert(content, _Spec)
    except (msgspec.MsgspecError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidParameterError(str(error)) from error
    for device in spec.devices:
        yield f"{spec.kind}={device.name}", Device(path, device.container_edits, spec.container_edits)
