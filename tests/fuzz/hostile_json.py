"""Hostile JSON texts for the types of the tables: every spelling of keys, duplicates, nulls, odd numbers, bad UTF-8.

All of it comes from one seeded ``random.Random``, so that a failing seed is the whole story of a failure.
"""

from collections.abc import Sequence
from random import Random

from tidegate.spec.requests import tables
from tidegate.spec.requests.types import INTEGERS, JSONText, Listed, Mapped, Named, Nullable, Scalar, Type, Words

TEXTS = ["", *["a", "/:/host", "host", "container:x", "ALL", "no", "ſK", "\u2028", "😀", "\x7f", "<&>"], "a\tb", '"\\/']
RAW_TEXTS = [*rb"\ud800 \udc00\ud800 \ud83d\ude00 \u0041\/".split(), b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf"]
_INTEGERS = b"0 1 -1 65535 65536 4294967296 9223372036854775807 9223372036854775808 18446744073709551616".split()
NUMBERS = [*_INTEGERS, *b"1.0 1e2 1E-2 1e999 -0.0 0.1 01 +1 .5 NaN Infinity 0x1".split(), b"1" * 400]
ANYTHING = [*b"""null true "x" [] {} {"a":[1,{"b":null}]} nul 'x' [1,] {,}""".split(), b'"a\nb"']
TAILS = [b"", b"", b"", b"", b" ", b"\n", b"\t\r\n ", *b"{} ] } x null /**/".split(), b"\x00", b"\xef\xbb\xbf"]
HEADS = [b""] * 12 + [b" ", b"\xef\xbb\xbf", b"\x00", b"\xff\xfe"]


class Writer:
    """Writes texts of a type; ``wildness`` is how often a rule is broken, from 0 to 1."""

    def __init__(self, seed: int, wildness: float = 0.03) -> None:
        self._random = Random(seed)
        self._wildness = wildness

    def text(self, kind: Type) -> bytes:
        """One whole body."""
        wild = self._is_wild()
        head, tail = (self._pick(HEADS), self._pick(TAILS)) if wild else (b"", b"")
        return head + self._value(kind) + tail

    def _pick(self, choices: Sequence[bytes]) -> bytes:
        return self._random.choice(choices)

    def _is_wild(self) -> bool:
        return self._random.random() < self._wildness

    def _value(self, kind: Type) -> bytes:
        if self._is_wild():
            return self._anything()
        if self._random.random() < 0.05:
            return b"null"
        match kind:
            case Scalar("bool"):
                return self._pick((b"true", b"false"))
            case Scalar("string"):
                return self._string()
            case Scalar("float64"):
                return self._pick((b"0", b"0.5", b"1", b"-2e3"))
            case Scalar(name):
                edges = INTEGERS[name]
                return str(self._random.choice((0, 0, 1, 7, edges.start, edges.stop - 1))).encode()
            case Words():
                return self._string() if self._random.random() < 0.4 else self._list(Scalar("string"))
            case Listed(item, _):
                return self._list(item)
            case Mapped(value):
                keys = [self._string() for _ in range(self._random.randint(0, 3))]
                return self._object([(key, self._value(value)) for key in keys])
            case Nullable(inner) | JSONText(inner):
                return self._value(inner)
            case Named(name):
                return self._document(name)

    def _list(self, item: Type) -> bytes:
        return b"[" + b",".join(self._value(item) for _ in range(self._random.randint(0, 3))) + b"]"

    def _document(self, name: str) -> bytes:
        fields = list(tables.document(name).fields.values())
        chosen = self._random.sample(fields, min(len(fields), self._random.randint(0, 6)))
        members = [(self._key(field.name), self._value(field.type)) for field in chosen]
        if chosen and self._is_wild():
            twice = self._random.choice(chosen)
            members.insert(self._random.randint(0, len(members)), (self._key(twice.name), self._value(twice.type)))
        if self._is_wild():
            members.append((self._string(), self._anything()))
        return self._object(members)

    def _object(self, members: list[tuple[bytes, bytes]]) -> bytes:
        space = self._pick((b"", b"", b" ", b"\n"))
        return b"{" + b",".join(space + key + space + b":" + space + value for key, value in members) + space + b"}"

    def _key(self, name: str) -> bytes:
        way = self._random.randrange(10)
        if way < 4:
            return f'"{name}"'.encode()
        if way == 4:
            name = name.lower()
        elif way == 5:
            name = name.swapcase()
        elif way == 6:
            name = name.replace("s", "ſ").replace("S", "ſ").replace("k", "K").replace("K", "K")
        elif way == 7:
            name = self._random.choice((name + " ", name[:-1], name.replace("i", "İ"), name.replace("I", "ı"), ""))
        letters = [f"\\u{ord(c):04x}" if way == 8 and self._random.random() < 0.5 else c for c in name]
        return f'"{"".join(letters)}"'.encode()

    def _string(self) -> bytes:
        if self._random.random() < 0.1:
            return b'"' + self._pick(RAW_TEXTS) + b'"'
        text = self._random.choice(TEXTS)
        shown = [f"\\u{ord(c):04x}" if c in '"\\\t' else c for c in text]
        return f'"{"".join(shown)}"'.encode()

    def _anything(self) -> bytes:
        way = self._random.randrange(8)
        if way < 3:
            return self._pick(NUMBERS)
        return self._string() if way == 3 else self._pick(ANYTHING)
