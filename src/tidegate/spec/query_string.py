"""Query strings as Go's ``net/url`` reads and writes them, and Docker's reading of a parameter's text.

- Pairs are parted by ``&`` alone: a semicolon is an error, as are bad escapes; ``+`` is a space.
- Text that is not UTF-8 is an error here: Go passes the bytes on, and the next reader guesses.
- Booleans: "", 0, no, false and none are false, anything else is true (moby's ``httputils.BoolValue``).
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote_plus, unquote_to_bytes

from tidegate.base.errors import InvalidParameterError

Pairs = Sequence[tuple[str, str]]

MOST_PARAMETERS = 1000
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_FALSE = frozenset({"", "0", "no", "false", "none"})
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""Go's ``unicode.IsSpace``; ``str.strip`` takes more."""


def parse_query_string(raw: str) -> Pairs:
    """Names and values in their order, decoded. Raises InvalidParameterError."""
    parts = [part for part in raw.split("&") if part]
    if len(parts) > MOST_PARAMETERS:
        raise InvalidParameterError(f"invalid query: more than {MOST_PARAMETERS} parameters")
    pairs = []
    for part in parts:
        if ";" in part:
            raise InvalidParameterError("invalid query: invalid semicolon separator in query: escape it as %3B")
        name, _, value = part.partition("=")
        pairs.append((_unescape(name), _unescape(value)))
    return pairs


def encode_query_string(pairs: Iterable[tuple[str, str]]) -> str:
    """What ``parse_query_string`` reads back as ``pairs``."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


def boolean(text: str) -> bool:
    """Docker's reading of a boolean."""
    return text.strip(_SPACE).lower() not in _FALSE


def number(name: str, text: str) -> int:
    """A decimal number of 64 bits. Raises InvalidParameterError that names the parameter."""
    value = int(text) if _NUMBER.fullmatch(text) else None
    if value is None or not -(2**63) <= value < 2**63:
        raise InvalidParameterError(f"invalid parameter {name}={text[:40]!r}: expected a number")
    return value


def _unescape(text: str) -> str:
    bad = _BAD_ESCAPE.search(text)
    if bad:
        raise InvalidParameterError(f"invalid query: invalid URL escape {text[bad.start() : bad.start() + 3]!r}")
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeError as error:
        raise InvalidParameterError(f"invalid query: not UTF-8: {text[:40]!r}") from error
