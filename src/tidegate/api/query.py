"""The query string of a request, read by Docker's rules, which are ``spec/query_string.py``: the gate's reading too.

A parameter that is given twice counts with its first value, as in Go.
"""

from collections.abc import Collection, Mapping, Sequence

from tidegate.spec.query_string import boolean, number, parse_query_string


class Query:
    """Parameters by name."""

    def __init__(self, raw: str, unread: Collection[str] = ()) -> None:
        """``unread`` say nothing. Raises InvalidParameterError for a query that Go does not parse."""
        self._values: dict[str, list[str]] = {}
        for name, value in parse_query_string(raw):
            if name not in unread:
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
        return boolean(self.text(name))

    def integer(self, name: str) -> int | None:
        """The parameter as a decimal number; None when absent or empty. Raises InvalidParameterError."""
        value = self.text(name)
        return number(name, value) if value else None

    def as_mapping(self) -> Mapping[str, Sequence[str]]:
        """Everything, for logs and policies."""
        return self._values
