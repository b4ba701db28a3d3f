"""Every mount of a container besides those it has of the engine, read once from its record. Pure.

The start, ``docker cp``, inspect, ``VolumesFrom`` and the list's filter all go by ``mount_points``. What ``Tmpfs``
asks is not among them: Docker shows it nowhere else either.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from tidegate.engine.mounts.binds import split_bind
from tidegate.engine.mounts.tmpfs import options_of_mount
from tidegate.model.container import Container, ReadOnlyDepth, VolumeUse
from tidegate.spec.container import BindOptions, HostConfig, Mount
from tidegate.spec.stored import stored_request

PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
DEFAULT_PROPAGATION = "rprivate"


class MountPoint(msgspec.Struct, frozen=True):
    """``source`` is a path of the host, a volume's name or an image's reference, by ``kind``; "" for a tmpfs.

    ``mode`` is what a bind says after the second colon. ``subpath`` is within the volume or image.
    """

    kind: Literal["bind", "volume", "tmpfs", "image"]
    container_path: str
    source: str = ""
    read_only: bool = False
    mode: str = ""
    propagation: str = ""
    recursive: bool = True
    depth: ReadOnlyDepth = "possible"
    make_source: bool = False
    subpath: str = ""
    options: tuple[str, ...] = ()
    chain_ids: tuple[str, ...] = ()


def mount_points(container: Container) -> Sequence[MountPoint]:
    """In the order in which the record has them: inherited binds, ``Binds``, ``Mounts``, other volumes."""
    host = stored_request(container.document).host_config
    volumes = {use.container_path: use for use in container.settings.volumes}
    found = [
        MountPoint(
            "bind",
            use.container_path,
            use.host_path,
            use.read_only,
            propagation=use.propagation,
            recursive=use.recursive,
            depth=use.depth,
            make_source=True,
        )
        for use in container.settings.inherited_binds
    ]
    found += _of_binds(host, volumes)
    found += _of_mounts(host, volumes, {use.container_path: use.chain_ids for use in container.settings.images})
    return [*found, *(_of_volume(use) for use in volumes.values())]


def _of_binds(host: HostConfig, volumes: dict[str, VolumeUse]) -> Iterator[MountPoint]:
    for bind in host.binds:
        source, target, options = split_bind(bind)
        mode = bind.split(":")[2] if bind.count(":") > 1 else ""
        read_only = "ro" in options
        use = volumes.pop(target, None)
        if use is not None:
            yield MountPoint("volume", target, use.name, read_only, mode)
        else:
            propagation = next(iter(options & PROPAGATIONS), DEFAULT_PROPAGATION)
            yield MountPoint("bind", target, source, read_only, mode, propagation, make_source=True)


def _of_mounts(
    host: HostConfig, volumes: dict[str, VolumeUse], images: Mapping[str, tuple[str, ...]]
) -> Iterator[MountPoint]:
    for mount in host.mounts:
        target = mount.target.rstrip("/")
        match mount.type:
            case "volume":
                yield replace(_of_volume(volumes.pop(target)), read_only=mount.read_only)
            case "tmpfs":
                yield MountPoint(
                    "tmpfs", target, read_only=mount.read_only, options=options_of_mount(mount.tmpfs_options)
                )
            case "image":
                subpath = mount.image_options.subpath if mount.image_options else ""
                chain_ids = images.get(target, ())
                yield MountPoint("image", target, mount.source, True, subpath=subpath, chain_ids=chain_ids)
            case _:
                yield _of_bind_mount(mount, target, mount.bind_options or BindOptions())


def _of_bind_mount(mount: Mount, target: str, options: BindOptions) -> MountPoint:
    return MountPoint(
        "bind",
        target,
        mount.source,
        mount.read_only,
        propagation=options.propagation or DEFAULT_PROPAGATION,
        recursive=not options.non_recursive,
        depth=_depth(options),
        make_source=options.create_mountpoint,
    )


def _depth(options: BindOptions) -> ReadOnlyDepth:
    if options.read_only_force_recursive:
        return "whole"
    return "top" if options.read_only_non_recursive else "possible"


def _of_volume(use: VolumeUse) -> MountPoint:
    return MountPoint("volume", use.container_path, use.name, use.read_only, subpath=use.subpath)
