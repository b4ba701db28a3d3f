"""Sizes as people write them."""

import re

from tidegate.base.errors import InvalidParameterError

_SIZE = re.compile(r"([0-9]+)([kmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}


def parse_size(text: str) -> int:
    """``20m`` in bytes, in powers of 1000 as Docker's log options. Raises InvalidParameterError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InvalidParameterError(f"invalid size: {text!r}")
    return int(found[1]) * _UNITS[found[2].lower()]
