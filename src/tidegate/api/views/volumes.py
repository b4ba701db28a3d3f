"""What the wire shows of a volume. Specification: definition Volume."""

from pathlib import Path
from typing import Any

from tidegate.engine.volumes import Volume
from tidegate.spec.timestamps import format_time

_SECOND_NS = 1_000_000_000


def volume_view(volume: Volume, mountpoint: Path) -> dict[str, Any]:
    """A volume in a list and in inspect."""
    return {
        "CreatedAt": format_time(volume.created_at_ns // _SECOND_NS * _SECOND_NS),
        "Driver": "local",
        "Labels": dict(volume.labels),
        "Mountpoint": str(mountpoint),
        "Name": volume.name,
        "Options": dict(volume.options),
        "Scope": "local",
    }


def usage_view(size_bytes: int, containers: int) -> dict[str, int]:
    """``UsageData``, shown by the disk usage only."""
    return {"RefCount": containers, "Size": size_bytes}
