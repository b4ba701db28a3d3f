"""Where tests look for control groups: one directory per controller on v1 and hybrid hosts, a single one on v2."""

import os
from collections.abc import Sequence
from pathlib import Path

from tidegate.kernel.cgroups.host import ROOT, is_unified

UNIFIED = is_unified()
HAS_CONTROLLERS = UNIFIED or (ROOT / "pids/cgroup.procs").exists()


def group(controller: str, path: str) -> Path:
    """The directory of the group ``path`` in the hierarchy that holds ``controller``."""
    return ROOT / path if UNIFIED else ROOT / controller / path


def groups_in(parent: str) -> Sequence[Path]:
    """The groups right below ``parent``, of every hierarchy."""
    hierarchies = [ROOT] if UNIFIED else [entry for entry in ROOT.iterdir() if entry.is_dir()]
    return [entry for each in hierarchies if (each / parent).is_dir() for entry in _directories(each / parent)]


def parents(parent: str) -> Sequence[Path]:
    """``parent`` itself in every hierarchy where it exists."""
    found = [ROOT / parent] if UNIFIED else ROOT.glob(f"*/{parent}")
    return [path for path in found if path.is_dir()]


def _directories(path: Path) -> Sequence[Path]:
    return [Path(entry.path) for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
