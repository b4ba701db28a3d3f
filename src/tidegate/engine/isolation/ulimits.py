"""``Ulimits``: limits of processes (setrlimit(2)) by the kernel's names, without ``RLIMIT_``; -1 is no limit. Pure.

Source: docker/go-units/ulimit.go, whose words these are.
"""

from collections.abc import Iterable, Sequence

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.container import Ulimit

NAMES = frozenset(
    {
        "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
        "rttime", "sigpending", "stack",
    }
)  # fmt: skip


def check_ulimit(limit: Ulimit) -> None:
    """Raises InvalidParameterError."""
    if limit.name not in NAMES:
        raise InvalidParameterError(f"invalid ulimit type: {limit.name}")
    if min(limit.soft, limit.hard) < -1:
        raise InvalidParameterError(f"invalid ulimit {limit.name}: {min(limit.soft, limit.hard)} is less than -1")
    if limit.hard != -1 and (limit.soft == -1 or limit.soft > limit.hard):
        raise InvalidParameterError(
            f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}"
        )


def with_defaults(asked: Sequence[Ulimit], defaults: Iterable[Ulimit]) -> tuple[Ulimit, ...]:
    """The client's, and the engine's where the client names none of that name."""
    names = {limit.name for limit in asked}
    return (*asked, *(limit for limit in defaults if limit.name not in names))


def parse_ulimit(text: str) -> Ulimit:
    """``nofile=1024:2048`` or ``nofile=1024``. Raises InvalidParameterError."""
    name, equals, value = text.partition("=")
    soft, colon, hard = value.partition(":")
    try:
        limit = Ulimit(name=name, soft=int(soft), hard=int(hard if colon else soft))
    except ValueError as error:
        raise InvalidParameterError(f"invalid ulimit argument: {text}") from error
    if not equals:
        raise InvalidParameterError(f"invalid ulimit argument: {text}")
    check_ulimit(limit)
    return limit
