"""Which control groups this host has: v1 (hybrid counts as it) or v2.

Docker's words for the same: ``CgroupVersion`` "1" or "2". On a hybrid host the controllers are v1's.
"""

from pathlib import Path

from tidegate.kernel.cgroups.files import Elsewhere, nowhere
from tidegate.kernel.cgroups.v1 import CgroupsV1
from tidegate.kernel.cgroups.v2 import CgroupsV2

ROOT = Path("/sys/fs/cgroup")


def is_unified(root: Path = ROOT) -> bool:
    """Whether ``root`` itself is a cgroup v2 hierarchy; only such a one has this file at its top."""
    return (root / "cgroup.controllers").exists()


def open_cgroups(parent: str, root: Path = ROOT, elsewhere: Elsewhere = nowhere) -> CgroupsV1 | CgroupsV2:
    """The groups of an engine's containers, under ``parent`` or wherever ``elsewhere`` says."""
    kind = CgroupsV2 if is_unified(root) else CgroupsV1
    return kind(parent, root, elsewhere)
