"""Hostile HTTP/1.1: requests whose framing two parsers could read differently, each followed by a smuggled one.

All of it comes from one seeded ``random.Random``, so that a failing seed is the whole story of a failure.
"""

from collections.abc import Sequence
from random import Random

TARGETS = [
    *[
        "/a",
        "/containers/%63reate",
        "//",
        "/../x",
        "/a?b=c",
        "/a#b",
        "/a;b",
        "*",
        "http://h/x",
        "http://h",
        "h:1",
        "/a%00",
    ],
    "/é",
    "/a b",
    "",
]
VERSIONS = ["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "HTTP/1.10", ""]
LENGTHS = [
    b"3",
    b"03",
    b"+3",
    b" 3",
    b"3 ",
    b"3,3",
    b"3, 3",
    b"0x3",
    b"-3",
    b"3.0",
    b"",
    b"9" * 25,
    b"3\x0b",
    b"\xd9\xa3",
    b"0",
]
CODINGS = [
    *b"chunked Chunked chunked,chunked chunked,identity identity gzip,chunked chunked;q=1 xchunked \"chunked\"".split(),
    b" chunked",
    b"\tchunked",
    b"chunked ",
    b"chunked\x0b",
    b",chunked",
    b"chunked,",
    b"",
]  # fmt: skip
OTHERS = [
    b"X: a\r\n b",
    b"X: a\r\n\tTransfer-Encoding: chunked",
    b"X : a",
    b" X: a",
    b": a",
    b"X",
    b"X: a\nContent-Length: 3",
    b"X: a\rContent-Length: 3",
    b"X: \x00",
    b"X: \x7f",
    b"X\x00: a",
    b"X(: a",
    b"X_Y: a",
    b"Content_Length: 3",
    b"Connection: content-length",
    b"Connection: close",
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: h2c",
    b"Host: other",
    b"Expect: 200-ok",
    b"Trailer: Content-Length",
]
ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\n\r\n"]
CHUNK_SIZES = [
    *b"3 03 3;x 3;x=y 0x3 +3 -3 3g 3,".split(),
    b'3;x="a',
    b"3 ",
    b" 3",
    b"3\t;x",
    b"0" * 20 + b"3",
    b"f" * 17,
    b"3;\x00",
    b"",
]
TRAILERS = [b""] * 6 + [b"X: y\r\n", b"Content-Length: 5\r\n", b"X: y\n", b"X\r\n", b" X: y\r\n"]
SMUGGLED = b"POST /smuggled HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n"


def hostile_request(seed: int) -> bytes:
    """One request with a rule or two broken, and another behind it."""
    random = Random(seed)
    odd = random.sample(
        ("target", "version", "length", "coding", "both", "other", "end", "chunk"), random.randint(1, 2)
    )
    end = random.choice(ENDS) if "end" in odd else b"\r\n"
    target = random.choice(TARGETS) if "target" in odd else "/a"
    version = random.choice(VERSIONS) if "version" in odd else "HTTP/1.1"
    lines = [f"POST {target} {version}".encode(), b"Host: d", *_framing(random, odd)]
    if "other" in odd:
        lines.insert(random.randint(1, len(lines)), random.choice(OTHERS))
    if random.random() < 0.05:
        lines.insert(0, b"")
    body = _chunks(random, odd) if any(b"coding" in line for line in lines) else b"abc"
    return end.join(lines) + end + random.choice([end, b"\r\n"]) + body + SMUGGLED


def _framing(random: Random, odd: Sequence[str]) -> list[bytes]:
    lengths = [b"Content-Length: " + (random.choice(LENGTHS) if "length" in odd else b"3")]
    colon = random.choice([b": ", b":", b" : ", b":\t"]) if "coding" in odd else b": "
    codings = [b"Transfer-Encoding" + colon + (random.choice(CODINGS) if "coding" in odd else b"chunked")]
    if "both" in odd:
        lines = random.choice(
            [lengths * 2, codings * 2, lengths + codings, codings + lengths, [*lengths, b"content-length: 4"]]
        )
    else:
        lines = codings if {"coding", "chunk"} & set(odd) else lengths
    return [line.swapcase() if random.random() < 0.05 else line for line in lines]


def _chunks(random: Random, odd: Sequence[str]) -> bytes:
    size = random.choice(CHUNK_SIZES) if "chunk" in odd else b"3"
    ends = [random.choice(ENDS) if "chunk" in odd and random.random() < 0.2 else b"\r\n" for _ in range(4)]
    last = random.choice([b"0", b"0", b"000", b"0;x", b"", b"-0"]) if "chunk" in odd else b"0"
    trailer = random.choice(TRAILERS) if "chunk" in odd else b""
    return size + ends[0] + b"abc" + ends[1] + last + ends[2] + trailer + ends[3]
