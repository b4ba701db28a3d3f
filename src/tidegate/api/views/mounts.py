"""What the wire shows of a container's mounts. Specification: definition MountPoint."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tidegate.model.container import Container
from tidegate.spec.container import CreateRequest

PROPAGATIONS = ("shared", "rshared", "slave", "rslave", "private", "rprivate")


def mounts_view(
    container: Container, request: CreateRequest, volume_paths: Mapping[str, Path] | None = None
) -> list[dict[str, Any]]:
    """``Mounts``: volumes, with their place on the host where ``volume_paths`` is given, binds and tmpfs."""
    return [*_volumes(container, request, volume_paths or {}), *_inherited(container), *_others(request)]


def _volumes(
    container: Container, request: CreateRequest, volume_paths: Mapping[str, Path]
) -> Iterator[dict[str, Any]]:
    modes = {}
    for bind in request.host_config.binds:
        _, target, mode = (*bind.split(":"), "")[:3]
        modes[target.rstrip("/")] = mode
    for mount in request.host_config.mounts:
        modes[mount.target.rstrip("/")] = "ro" if mount.read_only else ""
    for use in container.settings.volumes:
        mode = modes.get(use.container_path, "")
        yield {
            "Type": "volume",
            "Name": use.name,
            "Source": str(volume_paths.get(use.name, "")),
            "Destination": use.container_path,
            "Driver": "local",
            "Mode": mode,
            "RW": "ro" not in mode.split(",") and not use.read_only,
            "Propagation": "",
        }


def _inherited(container: Container) -> Iterator[dict[str, Any]]:
    for use in container.settings.inherited_binds:
        yield {
            "Type": "bind",
            "Source": use.host_path,
            "Destination": use.container_path,
            "Mode": "",
            "RW": not use.read_only,
            "Propagation": use.propagation,
        }


def _others(request: CreateRequest) -> Iterator[dict[str, Any]]:
    for bind in request.host_config.binds:
        source, target, mode = (*bind.split(":"), "")[:3]
        if source.startswith("/"):
            options = mode.split(",")
            yield {
                "Type": "bind",
                "Source": source,
                "Destination": target,
                "Mode": mode,
                "RW": "ro" not in options,
                "Propagation": next((option for option in options if option in PROPAGATIONS), "rprivate"),
            }
    for mount in request.host_config.mounts:
        if mount.type != "volume":
            wanted = mount.bind_options.propagation if mount.bind_options else ""
            yield {
                "Type": mount.type,
                "Source": mount.source,
                "Destination": mount.target,
                "Mode": "",
                "RW": not mount.read_only,
                "Propagation": (wanted or "rprivate") if mount.type == "bind" else "",
            }
