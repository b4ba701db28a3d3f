"""The audit's lines: a record becomes one JSON line, bound to the line before it. Pure.

- A line is a JSON object that ends in ``,"hash":"H"}``. H is the SHA-256 of every byte of the line before that ending;
  among them is ``prev``, the H of the line before. So a line vouches for all lines above it.
- ``seq`` counts from 1 without a gap. The line before the first is the chain's genesis, made of the chain's name: the
  beginning of one chain fits no other.
- A chain's name is ``KEY/WRITER``: the id of the key that signs its checkpoints, and the worker that writes it. A chain
  of another installation is foreign by its name.
- Texts are cut at TEXT_LIMIT characters, with a digest in place of the rest; what a record may say: ``audit_records``.
"""

import hashlib
import re
from functools import lru_cache

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.timestamps import NANOSECONDS, format_time

TEXT_LIMIT = 512
_ENDING = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_ENDING_BYTES = 75


class Head(msgspec.Struct, frozen=True):
    """The last line of a chain: its number and its hash, lower-case hexadecimal."""

    seq: int
    hash: str


class Line(msgspec.Struct, frozen=True):
    """What every line has; ``raw`` is the line without its newline, for the record's own fields."""

    chain: str
    seq: int
    time: str
    kind: str
    prev: str
    hash: str
    raw: bytes = b""

    @property
    def head(self) -> Head:
        return Head(self.seq, self.hash)


def genesis(chain: str) -> Head:
    """What stands before the first line of ``chain``."""
    return Head(0, hashlib.sha256(f"tidegate audit genesis\n{chain}\n".encode()).hexdigest())


def seal(chain: str, head: Head, kind: str, time_ns: int, record: msgspec.Struct) -> tuple[bytes, Head]:
    """The next line after ``head``, newline included, and the head that it makes."""
    seq = head.seq + 1
    fields = _encode(record)[1:-1]
    comma = b"," if fields else b""
    start = f'{{"chain":"{chain}","seq":{seq},"time":"{stamp(time_ns)}","kind":"{kind}"'.encode()
    body = b'%b%b%b,"prev":"%b"' % (start, comma, fields, head.hash.encode())
    digest = hashlib.sha256(body).hexdigest()
    return b'%b,"hash":"%b"}\n' % (body, digest.encode()), Head(seq, digest)


def parse_line(raw: bytes) -> Line:
    """One line without its newline, its hash unchecked. Raises InvalidParameterError when it is no line of ours."""
    try:
        line = msgspec.json.decode(raw, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidParameterError(f"not a line of an audit: {error}") from error
    msgspec.structs.force_setattr(line, "raw", raw)  # a copy would cost as much as the reading
    return line


def is_whole(line: Line) -> bool:
    """Whether the line's bytes are those that its hash was made of."""
    ending = _ENDING.fullmatch(line.raw[-_ENDING_BYTES:])
    if ending is None or ending[1].decode() != line.hash:
        return False
    return hashlib.sha256(line.raw[:-_ENDING_BYTES]).hexdigest() == line.hash


def checkpoint_message(chain: str, head: Head, signed_at: str) -> bytes:
    """The bytes that a checkpoint's signature is over."""
    return f"tidegate audit checkpoint v1\n{chain}\n{head.seq}\n{head.hash}\n{signed_at}\n".encode()


def bounded(text: str) -> str:
    """``text``, or its beginning and a digest of the whole."""
    if len(text) <= TEXT_LIMIT:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:TEXT_LIMIT]}... sha256:{digest}"


def stamp(time_ns: int) -> str:
    """RFC 3339 with nine digits, UTC."""
    seconds, nanoseconds = divmod(time_ns, NANOSECONDS)
    return f"{_second(seconds)}.{nanoseconds:09d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return format_time(seconds * NANOSECONDS).removesuffix("Z")


def _encode(record: msgspec.Struct) -> bytes:
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError:  # a lone surrogate, which a client can put into a name
        texts = {name: _printable(value) for name, value in msgspec.structs.asdict(record).items()}
        return msgspec.json.encode(type(record)(**texts))


def _printable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_printable(key): _printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(each) for each in value]
    return value
