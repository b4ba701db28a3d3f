"""A file of rules cut into its rules, each with its first line: the engine's messages have neither."""

import re
from collections.abc import Iterator

import msgspec

_TOKEN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|[;{}]|[^";{}/]+|/', re.DOTALL)
_ID = re.compile(r'@id\("([^"]+)"\)')


class Statement(msgspec.Struct, frozen=True):
    """One rule with its semicolon; ``line`` counts from 1."""

    file: str
    line: int
    text: str

    @property
    def name(self) -> str:
        """What the rule is called: its ``@id``, or its place."""
        annotated = _ID.search(self.text.partition("(principal")[0])
        return annotated[1] if annotated else f"{self.file}:{self.line}"

    def line_of(self, word: str) -> int:
        """Where ``word`` stands in the rule, else its first line."""
        place = self.text.find(word) if word else -1
        return self.line + self.text.count("\n", 0, max(place, 0))


def cut(file: str, text: str) -> Iterator[Statement]:
    """The rules of a file; what follows the last semicolon is one that is not finished."""
    begin = depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            depth -= 1
        elif token[0] == ";" and depth <= 0:
            yield _statement(file, text, begin, token.end())
            begin, depth = token.end(), 0
    if _code(text[begin:]):
        yield _statement(file, text, begin, len(text))


def _statement(file: str, text: str, begin: int, end: int) -> Statement:
    while True:
        blank = re.match(r"\s+|//[^\n]*", text[begin:end])
        if not blank:
            return Statement(file, text.count("\n", 0, begin) + 1, text[begin:end])
        begin += blank.end()


def _code(text: str) -> str:
    return re.sub(r"//[^\n]*", "", text).strip()
