"""The query string of a request, read by Docker's rules.

Booleans: "", 0, no, false and none are false, anything else is true (moby's ``httputils.BoolValue``). A parameter that
is given twice counts with its first value, as in Go.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from tidegate.base.errors import InvalidParameterError

_FALSE = frozenset({"", "0", "no", "false", "none"})
_MOST_PARAMETERS = 1000


class Query:
    """Parameters by name."""

    def __init__(self, raw: str) -> None:
        """Raises InvalidParameterError for more parameters than any client sends."""
        self._values: dict[str, list[str]] = {}
        if not raw:
            return
        try:
            pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict")
        except ValueError as error:
            raise InvalidParameterError(f"invalid query: {error}") from error
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def text(self, name: str, default: str = "") -> str:
        """The first value of the parameter."""
        return self._values.get(name, [default])[0]

    def texts(self, name: str) -> Sequence[str]:
        """Every value of the parameter."""
        return self._values.get(name, [])

    def flag(self, name: str, default: bool = False) -> bool:
        """The parameter as Docker reads a boolean."""
        if name not in self._values:
            return default
        return self.text(name).strip().lower() not in _FALSE

    def integer(self, name: str) -> int | None:
        """The parameter as a decimal number; None when absent or empty. Raises InvalidParameterError."""
        value = self.text(name)
        if not value:
            return None
        try:
            return int(value, 10)
        except ValueError as error:
            raise InvalidParameterError(f"invalid parameter {name}={value!r}: expected a number") from error

    def as_mapping(self) -> Mapping[str, Sequence[str]]:
        """Everything, for logs and policies."""
        return self._values
