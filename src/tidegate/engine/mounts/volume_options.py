"""Options of the local volume driver, ``type``, ``device``, ``o`` and ``size``: checked, and read as a mount. Pure.

Source: moby's volume/local/local_unix.go and moby/sys/mount's flags.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.base.sizes import parse_memory_size

_KNOWN = frozenset({"type", "o", "device", "size"})
_NEEDS = (("device", ("type",)), ("type", ("device",)), ("o", ("device", "type")))
_SECRET = "password="  # noqa: S105  the name of an option

# mount(2)'s numbers; what follows "no" or takes a flag back has its own row.
_SET = {
    "ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "sync": 16, "mand": 64, "dirsync": 128, "noatime": 1024,
    "nodiratime": 2048, "bind": 4096, "rbind": 4096 | 16384, "relatime": 1 << 21, "strictatime": 1 << 24,
}  # fmt: skip
_CLEAR = {
    "defaults": 0, "rw": 1, "suid": 2, "dev": 4, "exec": 8, "async": 16, "nomand": 64, "atime": 1024,
    "diratime": 2048, "norelatime": 1 << 21, "nostrictatime": 1 << 24,
}  # fmt: skip


class DeviceMount(msgspec.Struct, frozen=True):
    """What is mounted on a volume's directory. ``address`` is the part of ``data`` that is a host's name, or ""."""

    device: str
    kind: str
    flags: int = 0
    data: str = ""
    address: str = ""

    @property
    def shown(self) -> str:
        """For errors: without a password."""
        return ",".join("password=********" if each.startswith(_SECRET) else each for each in self.data.split(","))


def check_volume_options(options: Mapping[str, str]) -> None:
    """Raises InvalidParameterError in moby's words."""
    for option in options:
        if option not in _KNOWN:
            raise InvalidParameterError(f'invalid option: "{option}"')
    if any("\0" in value for value in options.values()):
        raise InvalidParameterError("invalid option: it contains a NUL")
    if options.get("type") == "cifs" and options.get("device") and urlsplit(options["device"]).netloc.count(":"):
        raise InvalidParameterError("port not allowed in CIFS device URL, include 'port' in 'o='")
    if volume_size(options) and device_mount(options):
        raise InvalidParameterError('invalid option: "size": how big a device is, its own options say (o=size=)')
    for option, needed in _NEEDS:
        for other in needed if option in options else ():
            if other not in options:
                raise InvalidParameterError(f'missing required option: "{other}"')


def volume_size(options: Mapping[str, str]) -> int:
    """How many bytes may be written to the volume, 0 for all there are. Raises InvalidParameterError."""
    return parse_memory_size(options["size"]) if "size" in options else 0


def device_mount(options: Mapping[str, str]) -> DeviceMount | None:
    """None for a volume that is a plain directory. Raises InvalidParameterError for an empty device or type."""
    if not {"device", "type"} & options.keys():
        return None
    if not options.get("device"):
        raise InvalidParameterError("missing device in volume options")
    if not options.get("type"):
        raise InvalidParameterError("missing volume type in volume options")
    flags, data = 0, list[str]()
    for word in filter(None, options.get("o", "").split(",")):
        if word in _SET:
            flags |= _SET[word]
        elif word in _CLEAR:
            flags &= ~_CLEAR[word]
        else:
            data.append(word)
    kind, device = options["type"], options["device"]
    address = next((word.removeprefix("addr=") for word in data if word.startswith("addr=")), "")
    if kind == "cifs" and not address:
        address = urlsplit(device).hostname or ""
        data += [f"addr={address}"] if address else []
    return DeviceMount(device, kind, flags, ",".join(data), address if kind in ("nfs", "nfs4", "cifs") else "")
