"""``StorageOpt``: how much a container may write to its root filesystem. Pure; whether it can be done is the driver's.

Source: moby's daemon/graphdriver/overlay2, ``parseStorageOpt``.
"""

from collections.abc import Mapping

from tidegate.base.errors import InvalidParameterError
from tidegate.base.sizes import parse_memory_size

LOWEST_BYTES = 1 << 20
"""Less would not hold the directories of an overlay."""


def parse_storage_size(options: Mapping[str, str]) -> int:
    """``{"size": "10G"}`` in bytes, 0 for no limit. Raises InvalidParameterError."""
    size_bytes = 0
    for name, value in options.items():
        if name.lower() != "size":
            raise InvalidParameterError(f"Unknown option {name}: StorageOpt knows size")
        try:
            size_bytes = parse_memory_size(value)
        except InvalidParameterError as error:
            raise InvalidParameterError(f"StorageOpt size: {error.message}") from error
        if size_bytes < LOWEST_BYTES:
            raise InvalidParameterError(f"StorageOpt size: {value} is less than {LOWEST_BYTES >> 20}M")
    return size_bytes
