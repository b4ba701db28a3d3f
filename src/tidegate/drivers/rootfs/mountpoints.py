"""The directories of a root filesystem that mounts go onto, made as Docker has them: mode 0755.

crun makes what is missing with the sticky bit (1755), and the parents of a mount stay visible in the container.
"""

import logging
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.kernel.paths import make_directories_in_root

_log = logging.getLogger(__name__)


def make_mountpoints(rootfs: Path, mounts: Sequence[Mapping[str, Any]]) -> None:
    """``mounts`` are those of the OCI configuration. What the kernel refuses is left to crun, which tells why."""
    for directory in sorted(plan_mountpoints(mounts)):
        try:
            make_directories_in_root(rootfs, directory)
        except OSError as error:
            _log.debug("the mountpoint %s is left to crun: %s", directory, error)


def plan_mountpoints(mounts: Iterable[Mapping[str, Any]]) -> set[str]:
    """The directories that have to be there: of a mounted file its parent, of a mount within a mount none."""
    targets = {str(mount["destination"]).rstrip("/"): mount for mount in mounts}
    wanted = set()
    for target, mount in targets.items():
        if not any(str(parent) in targets for parent in Path(target).parents):
            wanted.add(target if _is_directory(mount) else str(Path(target).parent))
    return wanted - {"/", ""}


def _is_directory(mount: Mapping[str, Any]) -> bool:
    if mount["type"] != "bind":
        return True
    try:
        return stat.S_ISDIR(Path(mount["source"]).stat().st_mode)
    except OSError:
        return False
