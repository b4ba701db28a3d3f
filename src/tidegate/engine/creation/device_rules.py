"""Device cgroup rules as clients write them: ``c 1:* rwm``. Pure; which devices exist is the driver's to know.

Source: devices.allow in Documentation/admin-guide/cgroup-v1/devices.rst, moby's ``validateDeviceCgroupRule``.
"""

import re
from typing import NamedTuple

from tidegate.base.errors import InvalidParameterError

_RULE = re.compile(
    r"(?P<kind>[acb]) (?P<major>[0-9]{1,9}|\*):(?P<minor>[0-9]{1,9}|\*) (?P<access>[rwm]{1,3})", re.ASCII
)
_ACCESS = re.compile(r"[rwm]{1,3}", re.ASCII)


class DeviceRule(NamedTuple):
    """``kind`` is a, c or b; a number None stands for every one."""

    kind: str
    major: int | None
    minor: int | None
    access: str


def parse_device_rule(text: str) -> DeviceRule:
    """Raises InvalidParameterError."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise InvalidParameterError(f"invalid device cgroup rule format: '{text}'")
    major, minor = (None if found[name] == "*" else int(found[name]) for name in ("major", "minor"))
    return DeviceRule(found["kind"], major, minor, found["access"])


def check_access(access: str) -> None:
    """``CgroupPermissions`` of a device; empty is all. Raises InvalidParameterError."""
    if access and not _ACCESS.fullmatch(access):
        raise InvalidParameterError(f"invalid device mode: {access}: some of r, w and m are known")
