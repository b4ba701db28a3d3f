"""Durations as people write them: ``90s``, ``10m``, ``1h30m``, ``7d``."""

import re
from datetime import timedelta

from tidegate.base.errors import InvalidParameterError

_DURATION = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Days, hours, minutes and seconds in this order, each with its letter. Raises InvalidParameterError."""
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        raise InvalidParameterError(f"invalid duration {text!r}: write it as 90s, 10m, 1h30m or 7d")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def duration_text(duration: timedelta) -> str:
    """The two largest units that count: ``89d23h``; ``0s`` for nothing or less."""
    left = max(0, int(duration.total_seconds()))
    parts = []
    for letter, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{letter}")
    return "".join(parts[:2]) or "0s"
