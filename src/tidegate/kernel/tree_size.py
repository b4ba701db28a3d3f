"""How much a directory tree holds; of its own because root filesystems, volumes and logs are measured alike."""

import os
from pathlib import Path


def tree_bytes(root: Path) -> int:
    """The apparent size of every file below ``root``, hard links counted once; 0 when there is nothing. Blocks."""
    total, seen, pending = 0, set[tuple[int, int]](), [str(root)]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except FileNotFoundError:  # a container may remove while we count
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            elif (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total
