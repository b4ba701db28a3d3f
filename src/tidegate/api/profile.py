"""The API version of a client, decided once; no version is compared anywhere else.

Source: the specification's section "Versioning", and moby's answer to a version out of range.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from tidegate.base.errors import InvalidParameterError

OLDEST = (1, 24)
NEWEST = (1, 56)
_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})")


def text(version: tuple[int, int]) -> str:
    """``(1, 24)`` as ``1.24``."""
    return f"{version[0]}.{version[1]}"


@dataclass(frozen=True, slots=True)
class ApiProfile:
    """Named behaviours that no rewriting of a document can express."""

    version: tuple[int, int]

    @property
    def multiplexed_content_type(self) -> bool:
        """Streams of a process without TTY are announced as ``multiplexed-stream`` (from 1.42)."""
        return self.version >= (1, 42)

    @property
    def prunes_anonymous_volumes_only(self) -> bool:
        """Prune leaves named volumes alone unless asked for all (from 1.42)."""
        return self.version >= (1, 42)

    @property
    def legacy_addresses(self) -> bool:
        """Inspect shows the default bridge's address at the top of NetworkSettings (below 1.52)."""
        return self.version < (1, 52)

    @property
    def legacy_disk_usage(self) -> bool:
        """The disk usage is the lists of objects with their sizes, without totals (below 1.52)."""
        return self.version < (1, 52)

    @property
    def legacy_event_fields(self) -> bool:
        """Events carry ``status``, ``id`` and ``from`` (below 1.52)."""
        return self.version < (1, 52)


@lru_cache(maxsize=64)
def decide_profile(version: str | None) -> ApiProfile:
    """``version`` is the path's prefix without its v; None means the newest. Raises InvalidParameterError."""
    if version is None:
        return ApiProfile(NEWEST)
    match = _VERSION.fullmatch(version)
    if match is None:
        raise InvalidParameterError(f"invalid API version {version!r}: expected MAJOR.MINOR")
    asked = (int(match[1]), int(match[2]))
    if asked < OLDEST:
        raise InvalidParameterError(
            f"client version {version} is too old. Minimum supported API version is {text(OLDEST)}, "
            "please upgrade your client to a newer version"
        )
    if asked > NEWEST:
        raise InvalidParameterError(
            f"client version {version} is too new. Maximum supported API version is {text(NEWEST)}"
        )
    return ApiProfile(asked)
