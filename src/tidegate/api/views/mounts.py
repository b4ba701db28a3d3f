"""What the wire shows of a container's mounts. Specification: definition MountPoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidegate.engine.mounts.points import MountPoint, mount_points
from tidegate.model.container import Container


def mounts_view(container: Container, volume_path: Callable[[str], Path]) -> list[dict[str, Any]]:
    """``Mounts``; ``volume_path`` answers a volume's place on the host by its name."""
    return [_view(point, volume_path) for point in mount_points(container)]


def _view(point: MountPoint, volume_path: Callable[[str], Path]) -> dict[str, Any]:
    named: dict[str, Any] = {"Source": point.source}
    if point.kind == "volume":
        named = {"Name": point.source, "Source": str(volume_path(point.source)), "Driver": "local"}
    elif point.kind == "image":
        named = {"Name": point.source, "Source": ""}
    return {
        "Type": point.kind,
        **named,
        "Destination": point.container_path,
        "Mode": point.mode,
        "RW": not point.read_only,
        "Propagation": point.propagation,
    }
