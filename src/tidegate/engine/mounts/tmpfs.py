"""Options of a tmpfs, as ``--tmpfs`` and ``TmpfsOptions`` have them. Pure.

Source: tmpfs(5), and moby's volume/mounts/linux_parser.go, ``ConvertTmpfsOptions``.
"""

from collections.abc import Iterator, Sequence

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.container import TmpfsOptions

_DEFAULTS = ("noexec", "nosuid", "nodev")
_OPPOSITE = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
_FLAGS = frozenset({
    "defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "atime", "noatime",
    "diratime", "nodiratime", "relatime", "strictatime",
})  # fmt: skip
_VALUES = frozenset(["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"])


def tmpfs_options(typed: Sequence[str]) -> list[str]:
    """What is mounted with, Docker's defaults first. Raises InvalidParameterError for an unknown option."""
    for option in typed:
        name, equals, _ = option.partition("=")
        if name not in (_VALUES if equals else _FLAGS):
            raise InvalidParameterError(f'Invalid tmpfs option "{option}"')
    lifted = {_OPPOSITE[option] for option in typed if option in _OPPOSITE}
    defaults = [option for option in _DEFAULTS if option not in lifted and option not in typed]
    return [*defaults, *(option for option in typed if option != "defaults")]


def options_of_mount(options: TmpfsOptions | None) -> tuple[str, ...]:
    """``TmpfsOptions`` as ``--tmpfs`` writes them. Raises InvalidParameterError for a malformed one."""
    return tuple(_written(options)) if options is not None else ()


def _written(options: TmpfsOptions) -> Iterator[str]:
    if options.size_bytes < 0:
        raise InvalidParameterError(f"invalid tmpfs size: {options.size_bytes}")
    if options.size_bytes:
        yield f"size={options.size_bytes}"
    if options.mode & ~0o7777:
        raise InvalidParameterError(f"invalid tmpfs mode: {options.mode:o}")
    if options.mode:
        yield f"mode={options.mode:o}"
    for words in options.options:
        if not 1 <= len(words) <= 2:
            raise InvalidParameterError("invalid option array length")
        if any("," in word for word in words):
            raise InvalidParameterError(f'invalid option "{"=".join(words)}": it contains a comma')
        yield "=".join(words)
