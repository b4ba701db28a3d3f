"""Host paths, bind specifications and the options of the local volume driver.

``HOST:CONTAINER[:OPTIONS]`` binds, ``NAME:CONTAINER[:OPTIONS]`` mounts a volume. What is neither a clean absolute path
nor a volume's name is refused, not guessed: Podman reads ``./x`` against its own working directory. A path is compared
in the form in which Go's ``filepath.Clean`` leaves it.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence

from tidegate.access.demands import Demand, DemandKind
from tidegate.access.references import ObjectKind, ObjectReference

VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_OPTIONS = frozenset(
    {
        *("ro", "rw", "z", "Z", "nocopy", "volume-nocopy", "consistent", "cached", "delegated"),
        *("private", "rprivate", "slave", "rslave"),
    }
)
_LABELLING = frozenset({"z", "Z"})
_TMPFS_OPTION = re.compile(
    r"(?:size|uid|gid|mode|nr_inodes|nr_blocks)=[0-9]+[kKmMgG%]?|ro|rw|(?:no)?(?:suid|exec|atime|diratime)|nodev"
    r"|relatime|strictatime|async|r?(?:private|slave)",
    re.ASCII,
)


def clean_path(path: str) -> str:
    """As ``filepath.Clean``; Go knows no double slash at the beginning, POSIX does."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned


def target_claims(target: str, field: str, kernel_trees: Sequence[str] = ("/proc", "/sys")) -> Iterator[Demand]:
    """Mounts over the kernel's own trees have defeated profiles and masks (CVE-2019-16884, CVE-2025-52881)."""
    if target and any(_is_below(clean_path("/" + target), tree) for tree in kernel_trees):
        yield Demand(DemandKind.FIELD, f"{field} target", target)


def working_directory_claims(path: str, field: str) -> Iterator[Demand]:
    """A working directory below /proc can be a descriptor the runtime has open on the host (CVE-2024-21626)."""
    if path and _is_below(clean_path("/" + path), "/proc"):
        yield Demand(DemandKind.FIELD, field, path)


def _is_below(path: str, tree: str) -> bool:
    return path == tree or path.startswith(f"{tree}/")


def bind_claims(specification: str, field: str) -> Iterator[Demand | ObjectReference]:
    """What an element of ``Binds`` asks for."""
    parts = specification.split(":")
    source, options = parts[0], parts[2].split(",") if len(parts) > 2 else []
    yield from target_claims(parts[min(len(parts), 2) - 1], field)
    if len(parts) == 1:
        if not source.startswith("/"):
            yield Demand(DemandKind.FIELD, field, specification)
        return
    for option in [*options, *parts[3:]]:
        if option not in _OPTIONS or len(parts) > 3:
            yield Demand(DemandKind.FIELD, f"{field} option", option)
    # A label is written on the source itself, whatever the mount may write.
    yield from source_claims(source, field, read_only="ro" in options and _LABELLING.isdisjoint(options))


def source_claims(
    source: str, field: str, *, read_only: bool, plain: bool = True
) -> Iterator[Demand | ObjectReference]:
    """What mounting ``source`` asks for: a path of the host, or a volume, which the mount makes if there is none.

    A ``plain`` volume has no options, so that it can be made beforehand.
    """
    if source.startswith("/") and "\0" not in source:
        yield Demand(DemandKind.BIND, field, clean_path(source), read_only)
    elif VOLUME_NAME.fullmatch(source):
        yield ObjectReference(ObjectKind.VOLUME, source, may_be_absent=True, make_first=plain)
    else:
        yield Demand(DemandKind.FIELD, f"{field} source", source)


def volume_driver_claims(driver: str, options: Sequence[tuple[str, str]], field: str) -> Iterator[Demand]:
    """``options`` of the local driver are those of mount(2): all but a tmpfs reach the host or the network."""
    if driver not in ("", "local"):
        yield Demand(DemandKind.VOLUME_DRIVER, f"{field} driver", driver)
    if options and not _makes_tmpfs(options):
        shown = ",".join(f"{key}={value}" for key, value in sorted(options))
        yield Demand(DemandKind.VOLUME_DRIVER, f"{field} driver options", f"{driver or 'local'}:{shown}")


def _makes_tmpfs(driver_options: Sequence[tuple[str, str]]) -> bool:
    given = {key.lower(): value for key, value in driver_options}
    if len(given) != len(driver_options) or given.pop("type", "") != "tmpfs" or given.pop("device", "") != "tmpfs":
        return False
    options = given.pop("o", "").split(",")
    return not given and all(makes_plain_tmpfs(option) for option in options)


def makes_plain_tmpfs(option: str) -> bool:
    """Whether a mount option of a tmpfs is harmless; ``bind`` is one too, and ``dev`` makes device nodes work."""
    return not option or _TMPFS_OPTION.fullmatch(option) is not None
