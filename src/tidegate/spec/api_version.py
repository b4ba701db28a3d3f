"""The range of API versions that the tables of this package hold, and Docker's words to a client outside it.

Source: the specification's section "Versioning", and moby's answer to a version out of range.
"""

import re

from tidegate.base.errors import InvalidParameterError

ApiVersion = tuple[int, int]

OLDEST: ApiVersion = (1, 24)
NEWEST: ApiVersion = (1, 56)
_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})")


def text(version: ApiVersion) -> str:
    """``(1, 24)`` as ``1.24``."""
    return f"{version[0]}.{version[1]}"


def parse_version(prefix: str) -> ApiVersion:
    """The version of a path's prefix, without its v. Raises InvalidParameterError for none, and for one too old.

    Below 1.24 other documents are in use: a start has a HostConfig, and an engine may obey it.
    """
    match = _VERSION.fullmatch(prefix)
    if match is None:
        raise InvalidParameterError(f"invalid API version {prefix!r}: expected MAJOR.MINOR")
    version = (int(match[1]), int(match[2]))
    if version < OLDEST:
        raise InvalidParameterError(
            f"client version {prefix} is too old. Minimum supported API version is {text(OLDEST)}, "
            "please upgrade your client to a newer version"
        )
    return version


def refuse_newer(version: ApiVersion) -> None:
    """Raises InvalidParameterError for a version that this engine does not speak."""
    if version > NEWEST:
        raise InvalidParameterError(
            f"client version {text(version)} is too new. Maximum supported API version is {text(NEWEST)}"
        )
