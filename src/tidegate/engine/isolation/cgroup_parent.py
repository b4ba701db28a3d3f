"""``CgroupParent``: the control group above the container's. Pure.

``/a/b`` is from the top of the hierarchy, ``a/b`` below the engine's own group, as Docker has it with its cgroupfs
driver. The engine makes what is missing of it, and leaves it there when the container goes: it may be somebody else's.
"""

import posixpath
import re

from tidegate.base.errors import InvalidParameterError

_NAME = re.compile(r"[^/\x00-\x20\x7f]{1,255}")


def plan_cgroup_parent(wanted: str, own: str) -> str:
    """From the top of the hierarchy, without a slash around it; ``own`` is the engine's.

    Raises InvalidParameterError for what is no path of a group.
    """
    if not wanted:
        return own.strip("/")
    path = wanted if wanted.startswith("/") else posixpath.join("/", own, wanted)
    names = [name for name in path.split("/") if name not in ("", ".")]
    if any(name == ".." or not _NAME.fullmatch(name) for name in names):
        raise InvalidParameterError(f"invalid CgroupParent {wanted!r}: must be the path of a control group, without ..")
    return "/".join(names)


def cgroup_path(wanted: str, own: str, container_id: str) -> str:
    """The container's own group, from the top of the hierarchy. Raises InvalidParameterError."""
    return posixpath.join("/", plan_cgroup_parent(wanted, own), container_id)
