"""``HostConfig.Mounts`` of clients that speak an older version, as that version meant it. Pure.

Source: the specification's version history, and moby's ``postContainersCreate``.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tidegate.api.profile import ApiProfile
from tidegate.base.errors import InvalidParameterError
from tidegate.spec.container import BindOptions, CreateRequest, Mount


def upgrade_mounts(request: CreateRequest, profile: ApiProfile) -> CreateRequest:
    """The request as the newest version would say it. Raises InvalidParameterError for what came later."""
    mounts = request.host_config.mounts
    if not mounts:
        return request
    for mount in mounts:
        for problem in _too_new(mount, profile):
            raise InvalidParameterError(problem)
    upgraded = tuple(_upgrade(mount, profile) for mount in mounts)
    return replace(request, host_config=replace(request.host_config, mounts=upgraded))


def _too_new(mount: Mount, profile: ApiProfile) -> Iterator[str]:
    forced = mount.bind_options is not None and mount.bind_options.read_only_force_recursive
    if forced and not profile.read_only_is_recursive:
        yield "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"
    if mount.volume_options is not None and mount.volume_options.subpath and not profile.has_volume_subpaths:
        yield "VolumeOptions.Subpath needs API v1.45 or newer"
    if mount.type == "image" and not profile.has_image_mounts:
        yield 'Mount type "Image" needs API v1.48 or newer'


def _upgrade(mount: Mount, profile: ApiProfile) -> Mount:
    if not profile.checks_options_of_mounts:
        mount = replace(
            mount,
            bind_options=mount.bind_options if mount.type == "bind" else None,
            volume_options=mount.volume_options if mount.type == "volume" else None,
            tmpfs_options=mount.tmpfs_options if mount.type == "tmpfs" else None,
        )
        if mount.bind_options is not None:
            mount = replace(mount, bind_options=replace(mount.bind_options, create_mountpoint=False))
    if mount.tmpfs_options is not None and not profile.has_tmpfs_options:
        mount = replace(mount, tmpfs_options=replace(mount.tmpfs_options, options=()))
    if mount.type == "bind" and not profile.read_only_is_recursive:
        options = replace(mount.bind_options or BindOptions(), read_only_non_recursive=mount.read_only)
        mount = replace(mount, bind_options=options)
    return mount
