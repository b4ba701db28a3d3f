"""``VolumesFrom``: the volumes and binds of other containers, as they are when the new one is created. Pure.

- ``NAME[:ro|rw]``: read-only makes everything so; read-write leaves each as the other container has it;
- what the client mounts itself at the same place wins, and of two containers the later;
- an anonymous volume of the other stays the other's: it goes with it, not with the new one.

Source: moby's daemon/volumes.go, ``registerMountPoints``.
"""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.creation.joining import Find, find_for_new
from tidegate.engine.mounts.binds import split_bind
from tidegate.engine.mounts.points import mount_points
from tidegate.model.container import BindUse, Container, VolumeUse
from tidegate.spec.container import CreateRequest

_MODES = frozenset({"", "ro", "rw", "z", "Z"})


class Inherited(msgspec.Struct, frozen=True):
    """What other containers give; ``targets`` are the paths it is mounted at."""

    volumes: tuple[VolumeUse, ...] = ()
    binds: tuple[BindUse, ...] = ()

    @property
    def targets(self) -> frozenset[str]:
        return frozenset(use.container_path for uses in (self.volumes, self.binds) for use in uses)


def inherit_mounts(request: CreateRequest, find: Find) -> Inherited:
    """Raises InvalidParameterError for a container that is not there, or a mode that is not known."""
    found: dict[str, VolumeUse | BindUse] = {}
    for entry in request.host_config.volumes_from:
        name, _, mode = entry.partition(":")
        modes = frozenset(mode.split(","))
        if not name or modes - _MODES or {"ro", "rw"} <= modes:
            raise InvalidParameterError(f"invalid mode: {mode}" if name else f"invalid volumes-from: {entry!r}")
        for use in mounts_of(find_for_new(name, find)):
            found[use.container_path] = replace(use, read_only=use.read_only or "ro" in modes)
    own = mounted_targets(request)
    kept = [use for path, use in found.items() if path not in own]
    return Inherited(
        tuple(use for use in kept if isinstance(use, VolumeUse)), tuple(use for use in kept if isinstance(use, BindUse))
    )


def mounted_targets(request: CreateRequest) -> set[str]:
    """Where the client mounts something itself."""
    host = request.host_config
    binds = {split_bind(bind)[1] for bind in host.binds}
    return {*host.tmpfs, *binds, *(mount.target.rstrip("/") for mount in host.mounts)}


def mounts_of(container: Container) -> Iterator[VolumeUse | BindUse]:
    """The volumes and binds of a container, those it inherited too."""
    for point in mount_points(container):
        if point.kind == "bind":
            yield BindUse(
                point.source, point.container_path, point.read_only, point.propagation, point.recursive, point.depth
            )
        elif point.kind == "volume":
            yield VolumeUse(
                point.source, point.container_path, copy_up=False, read_only=point.read_only, subpath=point.subpath
            )
