"""Whether what a client asks to mount can be mounted at all, in moby's words. Pure but for one question of the host.

Source: moby's volume/mounts/{validate,linux_parser}.go and daemon/volumes.go.
"""

import posixpath
from collections.abc import Callable, Iterator

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.mounts.binds import split_bind
from tidegate.engine.mounts.points import PROPAGATIONS
from tidegate.engine.mounts.tmpfs import options_of_mount, tmpfs_options
from tidegate.spec.container import BindOptions, HostConfig, Mount

_OPTIONS_OF = {"bind": "BindOptions", "volume": "VolumeOptions", "image": "ImageOptions", "tmpfs": "TmpfsOptions"}
_CONSISTENCIES = frozenset({"", "default", "consistent", "cached", "delegated"})


def check_mounts(host: HostConfig) -> None:
    """Raises InvalidParameterError for the first thing that is wrong."""
    for mount in host.mounts:
        _raise_first(mount, _problems(mount))
    for options in host.tmpfs.values():
        tmpfs_options([option for option in options.split(",") if option])
    _check_targets(host)


def check_bind_sources(host: HostConfig, exists: Callable[[str], bool]) -> None:
    """Raises InvalidParameterError for a source that is not on the host and that nobody asked to make."""
    for mount in host.mounts:
        made = mount.bind_options is not None and mount.bind_options.create_mountpoint
        if mount.type == "bind" and not made and not exists(mount.source):
            _raise_first(mount, iter([f"bind source path does not exist: {mount.source}"]))


def is_local(subpath: str) -> bool:
    """Whether a path stays within what it is relative to, as Go's ``filepath.IsLocal`` has it."""
    cleaned = posixpath.normpath(subpath)
    return not subpath.startswith("/") and cleaned != ".." and not cleaned.startswith("../") and "\0" not in subpath


def _raise_first(mount: Mount, problems: Iterator[str]) -> None:
    problem = next(problems, None)
    if problem is not None:
        raise InvalidParameterError(f'invalid mount config for type "{mount.type}": {problem}')


def _problems(mount: Mount) -> Iterator[str]:
    if not mount.target:
        yield "field Target must not be empty"
    if posixpath.normpath(mount.target) in ("/", "//"):
        yield "invalid specification: destination can't be '/'"
    if not mount.target.startswith("/") or "\0" in mount.target:
        yield f"invalid mount path: '{mount.target}' mount path must be absolute"
    if mount.type not in _OPTIONS_OF:
        yield "mount type unknown"
    if mount.consistency not in _CONSISTENCIES:
        yield f"field Consistency: {mount.consistency!r} is none of consistent, cached, delegated, default"
    yield from _foreign_options(mount)
    match mount.type:
        case "bind":
            yield from _of_bind(mount, mount.bind_options or BindOptions())
        case "volume":
            yield from _of_volume(mount)
        case "tmpfs":
            yield from _of_tmpfs(mount)
        case "image":
            yield from _of_image(mount)


def _foreign_options(mount: Mount) -> Iterator[str]:
    given = {
        "BindOptions": mount.bind_options,
        "VolumeOptions": mount.volume_options,
        "ImageOptions": mount.image_options,
        "TmpfsOptions": mount.tmpfs_options,
        "ClusterOptions": mount.cluster_options,
    }
    for field, value in given.items():
        if value is not None and field != _OPTIONS_OF[mount.type]:
            yield f"field {field} must not be specified"


def _of_bind(mount: Mount, options: BindOptions) -> Iterator[str]:
    if not mount.source:
        yield "field Source must not be empty"
    if options.propagation and options.propagation not in PROPAGATIONS:
        yield f"invalid propagation mode: {options.propagation}"
    if not mount.source.startswith("/") or "\0" in mount.source:
        yield f"invalid mount path: '{mount.source}' mount path must be absolute"
    if options.read_only_non_recursive and options.read_only_force_recursive:
        yield "mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive"
    if not mount.read_only and options.read_only_non_recursive:
        yield "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive"
    if not mount.read_only and options.read_only_force_recursive:
        yield "mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive"


def _of_volume(mount: Mount) -> Iterator[str]:
    subpath = mount.volume_options.subpath if mount.volume_options else ""
    if subpath and not mount.source:
        yield "must not set Subpath when using anonymous volumes"
    if not is_local(subpath):
        yield "subpath must be a relative path within the volume"
    if mount.read_only and not mount.source:
        yield "must not set ReadOnly mode when using anonymous volumes"


def _of_tmpfs(mount: Mount) -> Iterator[str]:
    if mount.source:
        yield "field Source must not be specified"
    try:
        tmpfs_options(options_of_mount(mount.tmpfs_options))
    except InvalidParameterError as error:
        yield error.message


def _of_image(mount: Mount) -> Iterator[str]:
    if not mount.source:
        yield "field Source must not be empty"
    if mount.image_options and not is_local(mount.image_options.subpath):
        yield "subpath must be a relative path within the volume"


def _check_targets(host: HostConfig) -> None:
    targets = [path.rstrip("/") for path in host.tmpfs]
    targets += [split_bind(bind)[1] for bind in host.binds]
    targets += [mount.target.rstrip("/") for mount in host.mounts]
    for number, target in enumerate(targets):
        if target in targets[:number]:
            raise InvalidParameterError(f"Duplicate mount point: {target}")
