"""``HostConfig``'s ways to bring files in: ``Binds``, ``Mounts``, ``Tmpfs``, ``VolumesFrom``, ``VolumeDriver``."""

from collections.abc import Iterator

from tidegate.access.confinement.host_paths import (
    bind_claims,
    makes_plain_tmpfs,
    source_claims,
    target_claims,
    volume_driver_claims,
)
from tidegate.access.confinement.images import image_claims
from tidegate.access.confinement.labels import reserved_labels
from tidegate.access.confinement.tree import Tree, documents, flag, items, mapping, text, texts
from tidegate.access.demands import Demand, DemandKind
from tidegate.access.references import ObjectKind, ObjectReference

LOOKED_AT = frozenset(
    {
        "Binds",
        "Mounts",
        "Mounts.Type",
        "Mounts.Source",
        "Mounts.BindOptions.Propagation",
        "Mounts.BindOptions.ReadOnlyNonRecursive",
        "Mounts.VolumeOptions.Labels",
        "Mounts.VolumeOptions.DriverConfig",
        "Mounts.VolumeOptions.DriverConfig.Name",
        "Mounts.VolumeOptions.DriverConfig.Options",
        "VolumeDriver",
        "VolumesFrom",
    }
)
# Podman writes a mount down as a line of options and reads that line: what ends a value there, adds an option.
_ENDS_A_VALUE = frozenset(',"\r\n')
_PROPAGATIONS = frozenset({"", "private", "rprivate", "slave", "rslave"})
_STORAGE_OPTIONS = frozenset({"size", "inodes"})


def mount_claims(host: Tree, prefix: str) -> Iterator[Demand | ObjectReference]:
    """What a host configuration asks to mount; ``prefix`` is where it stands in the document."""
    for specification in texts(host, "Binds"):
        yield from bind_claims(specification, f"{prefix}Binds")
    for mount in documents(host, "Mounts"):
        yield from _one_mount(mount, f"{prefix}Mounts")
    yield from _tmpfs_claims(mapping(host, "Tmpfs"), f"{prefix}Tmpfs")
    for name in texts(host, "VolumesFrom"):
        yield ObjectReference(ObjectKind.CONTAINER, name.partition(":")[0])
    for name in mapping(host, "StorageOpt"):
        if name not in _STORAGE_OPTIONS:
            yield Demand(DemandKind.FIELD, f"{prefix}StorageOpt", name)
    yield from volume_driver_claims(text(host, "VolumeDriver"), (), f"{prefix}VolumeDriver")


def _tmpfs_claims(paths: Tree, field: str) -> Iterator[Demand]:
    for path in paths:
        yield from target_claims(path, field, ("/proc",))
        # Podman reads what follows a colon as options.
        if ":" in path:
            yield Demand(DemandKind.FIELD, field, path)
        for option in text(paths, path).split(","):
            if not makes_plain_tmpfs(option):
                yield Demand(DemandKind.FIELD, field, option)


def _one_mount(mount: Tree, field: str) -> Iterator[Demand | ObjectReference]:
    yield from _what_is_mounted(mount, field)
    yield from target_claims(text(mount, "Target"), field)
    for name, value in _values(mount):
        if not _ENDS_A_VALUE.isdisjoint(value):
            yield Demand(DemandKind.FIELD, f"{field}.{name}", value)
    propagation = text(mapping(mount, "BindOptions"), "Propagation")
    if propagation not in _PROPAGATIONS:
        yield Demand(DemandKind.FIELD, f"{field}.BindOptions.Propagation", propagation)
    for option in items(mapping(mount, "TmpfsOptions"), "Options"):
        words = option if isinstance(option, list | tuple) else (option,)
        if not makes_plain_tmpfs("=".join(str(word) for word in words)):
            yield Demand(DemandKind.FIELD, f"{field}.TmpfsOptions.Options", "=".join(str(word) for word in words))
    yield from _volume_options(mapping(mount, "VolumeOptions"), f"{field}.VolumeOptions")


def _what_is_mounted(mount: Tree, field: str) -> Iterator[Demand | ObjectReference]:
    kind, source = text(mount, "Type"), text(mount, "Source")
    if kind == "bind":
        options = mapping(mount, "BindOptions")
        # What is mounted below the source stays writable.
        is_open_below = flag(options, "ReadOnlyNonRecursive") and not flag(options, "NonRecursive")
        yield from _bind_source(source, field, read_only=flag(mount, "ReadOnly") and not is_open_below)
    elif kind == "volume":
        if source:
            options = mapping(mount, "VolumeOptions")
            plain = not mapping(options, "Labels") and options.get("DriverConfig") is None
            yield from _volume_source(source, field, plain=plain)
    elif kind == "image":
        yield from image_claims(source, f"{field}.Source")
    elif kind != "tmpfs":
        yield Demand(DemandKind.FIELD, f"{field}.Type", kind)


def _values(mount: Tree) -> Iterator[tuple[str, str]]:
    for name in ("Source", "Target", "Consistency"):
        yield name, text(mount, name)
    for name in ("VolumeOptions", "ImageOptions"):
        yield f"{name}.Subpath", text(mapping(mount, name), "Subpath")


def _bind_source(source: str, field: str, *, read_only: bool) -> Iterator[Demand | ObjectReference]:
    if source.startswith("/"):
        yield from source_claims(source, f"{field}.Source", read_only=read_only)
    else:
        yield Demand(DemandKind.FIELD, f"{field}.Source", source)


def _volume_source(source: str, field: str, *, plain: bool) -> Iterator[Demand | ObjectReference]:
    if source.startswith("/"):
        yield Demand(DemandKind.FIELD, f"{field}.Source", source)
    else:
        yield from source_claims(source, f"{field}.Source", read_only=False, plain=plain)


def _volume_options(options: Tree, field: str) -> Iterator[Demand]:
    yield from reserved_labels(mapping(options, "Labels"), f"{field}.Labels")
    driver = mapping(options, "DriverConfig")
    driver_options = [(key, text(mapping(driver, "Options"), key)) for key in mapping(driver, "Options")]
    yield from volume_driver_claims(text(driver, "Name"), driver_options, f"{field}.DriverConfig")
