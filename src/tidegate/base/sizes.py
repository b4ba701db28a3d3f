"""Sizes as people write them."""

import re

from tidegate.base.errors import InvalidParameterError

_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) ?([kmgt]?)i?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """``20m`` in bytes, in powers of 1000 as Docker's log options. Raises InvalidParameterError."""
    return _parse(text, 1000)


def parse_memory_size(text: str) -> int:
    """``64m`` in bytes, in powers of 1024 as Docker's sizes of memory and disks. Raises InvalidParameterError."""
    return _parse(text, 1024)


def _parse(text: str, base: int) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InvalidParameterError(f"invalid size: {text!r}")
    return int(float(found[1]) * base ** _POWERS[found[2].lower()])
