"""What the wire shows of a container's mounts. Specification: definition MountPoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.engine.mounts.points import MountPoint, mount_points
from tidegate.model.container import Container


def mounts_view(container: Container, volume_paths: Mapping[str, Path] | None = None) -> list[dict[str, Any]]:
    """``Mounts``: volumes with their place on the host where ``volume_paths`` is given."""
    return [_view(point, volume_paths or {}) for point in mount_points(container)]


def _view(point: MountPoint, volume_paths: Mapping[str, Path]) -> dict[str, Any]:
    named: dict[str, Any] = {"Source": point.source}
    if point.kind == "volume":
        named = {"Name": point.source, "Source": str(volume_paths.get(point.source, "")), "Driver": "local"}
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
