"""Whether an audit is what was written: the lines of one chain, in order, against their hashes and signatures. Pure.

Each thing wrong is one finding, after which the walk goes on from the line it found: a single edit is a single finding.
What cannot be told from the lines alone comes from ``remembered``, the highest head that the signer has signed: it
shows that the end was cut off, or that the chain was written anew.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.audit.chain import Head, Line, checkpoint_message, genesis, is_whole, parse_line
from tidegate.spec.audit.records import Checkpoint, Kind, Segment, digest

MOST_UNSIGNED_LINES = 10_000  # a writer refuses requests before it writes more than that without a signature


class Wrong(StrEnum):
    """What a finding is."""

    EDITED = "edited"
    DELETED = "deleted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    SWAPPED = "swapped"
    FOREIGN = "foreign"
    SIGNATURE = "signature"
    UNSIGNED = "unsigned"
    UNREADABLE = "unreadable"
    TORN = "torn"


_ONLY_NOTES = frozenset({Wrong.TORN})


class Place(msgspec.Struct, frozen=True):
    """A line of a file, counted from 1."""

    file: str
    number: int

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


class Finding(msgspec.Struct, frozen=True):
    """``what`` happened, where, and why we say so. A torn tail after a crash is a finding but no tampering."""

    what: Wrong
    place: Place
    text: str

    @property
    def is_tampering(self) -> bool:
        return self.what not in _ONLY_NOTES


class Torn(msgspec.Struct, frozen=True):
    """The bytes after a file's last newline."""

    place: Place
    content: bytes


Piece = tuple[Place, bytes] | Torn
"""What a file is read as: its lines, without newlines, and what is torn at its end."""


@dataclass(slots=True)
class _Gap:
    """Lines that were missing when the walk passed; those that turn up later were moved, not deleted."""

    first: int
    last: int
    finding: Finding
    seen: int = 0


@dataclass(slots=True)
class Walk:
    """One chain. ``is_signed`` checks a signature (base64) over a message, by the key that the audit belongs to.

    ``partial`` accepts that lines before the first or after the last are elsewhere; ``dropped`` is the last line that
    was taken away on purpose, with all before it.
    """

    chain: str
    is_signed: Callable[[bytes, str], bool]
    remembered: Head | None = None
    partial: bool = False
    dropped: Head | None = None
    findings: list[Finding] = field(default_factory=list)
    lines: int = 0
    head: Head | None = None
    signed: Head | None = None
    _unsigned: dict[int, str] = field(default_factory=dict)
    _doubtful: int = 0  # lines since ``head`` that say nothing of their own place: each may stand for one of ours
    _gaps: list[_Gap] = field(default_factory=list)
    _torn: Torn | None = None
    _first_seq: int = 0
    _last: Place = field(default_factory=lambda: Place("", 0))

    def run(self, pieces: Iterable[Piece]) -> "Walk":
        """Look at everything, in the order of the files."""
        for piece in pieces:
            if isinstance(piece, Torn):
                if self._torn is not None:
                    self._note(Wrong.TORN, self._torn.place, "an unfinished line, and another crash after it")
                self._torn = piece
            else:
                self._step(*piece)
        self._finish()
        return self

    def _step(self, place: Place, raw: bytes) -> None:
        self.lines += 1
        self._last = place
        line = self._read(place, raw)
        if line is None:
            self._doubtful += 1
            return
        if self._torn is not None:
            self._settle_torn(line)
        if self._follow(place, line):
            self.head, self._doubtful = line.head, 0
        self._remember(place, line)
        if line.kind == Kind.CHECKPOINT:
            self._check_signature(place, raw)

    def _read(self, place: Place, raw: bytes) -> Line | None:
        """The line, when it is what its hash was made of and of this chain."""
        try:
            line = parse_line(raw)
        except InvalidParameterError as error:
            self._note(Wrong.UNREADABLE, place, error.message)
            return None
        if line.chain != self.chain:
            self._note(Wrong.FOREIGN, place, f"a line of the chain {line.chain}, not of {self.chain}")
            return None
        if not is_whole(line):
            self._note(Wrong.EDITED, place, f"line {line.seq} is not what its hash was made of")
            return None
        return line

    def _follow(self, place: Place, line: Line) -> bool:
        """Whether the walk goes on from this line: not from one that belongs further up."""
        before = self.head or self._beginning(line)
        if before is None:
            return True
        expected = before.seq + 1
        if line.seq == expected:
            if line.prev != before.hash:
                self._note(Wrong.EDITED, place, f"line {line.seq} does not follow the line {before.seq} that is here")
        elif line.seq > expected + self._doubtful:
            last = line.seq - 1
            gone = f"lines {expected} to {last} are" if last > expected else f"line {expected} is"
            self._note(Wrong.DELETED, place, f"{gone} missing before line {line.seq}")
            self._gaps.append(_Gap(expected, last, self.findings[-1]))
        elif line.seq < expected:
            self._note(Wrong.REORDERED, place, f"line {line.seq} comes after line {before.seq}")
            self._close_gap(line.seq)
            return False
        return True

    def _beginning(self, line: Line) -> Head | None:
        """What must stand before the first line that is here; None when anything may."""
        self._first_seq = line.seq
        if line.seq > 1 and self.dropped is not None and line.seq <= self.dropped.seq + 1:
            return self.dropped if line.seq == self.dropped.seq + 1 else None
        return None if self.partial and line.seq > 1 else genesis(self.chain)

    def _close_gap(self, seq: int) -> None:
        for gap in self._gaps:
            if gap.first <= seq <= gap.last:
                gap.seen += 1
                if gap.seen == gap.last - gap.first + 1:
                    self.findings.remove(gap.finding)
                    self._gaps.remove(gap)
                return

    def _remember(self, place: Place, line: Line) -> None:
        self._unsigned[line.seq] = line.hash
        remembered = self.remembered
        if remembered is not None and line.seq == remembered.seq and line.hash != remembered.hash:
            self._note(Wrong.EDITED, place, f"line {line.seq} is another than the one that was signed: written anew")
        if len(self._unsigned) > MOST_UNSIGNED_LINES:
            first = min(self._unsigned)
            self._note(Wrong.UNSIGNED, place, f"no signature covers the lines {first} to {line.seq}")
            self._unsigned.clear()

    def _check_signature(self, place: Place, raw: bytes) -> None:
        try:
            checkpoint = msgspec.json.decode(raw, type=Checkpoint)
        except msgspec.DecodeError as error:
            self._note(Wrong.UNREADABLE, place, f"not a checkpoint: {error}")
            return
        head = Head(checkpoint.of, checkpoint.of_hash)
        if not self.is_signed(checkpoint_message(self.chain, head, checkpoint.signed_at), checkpoint.signature):
            self._note(Wrong.SIGNATURE, place, f"the signature over line {head.seq} is not by the audit's key")
            return
        known = self._unsigned.get(head.seq)
        if known is not None and known != head.hash:
            self._note(Wrong.EDITED, place, f"line {head.seq} is another than the one that was signed: written anew")
        elif known is None and head != self.signed and head.seq >= self._first_seq:
            self._note(Wrong.SIGNATURE, place, f"the signature is over line {head.seq}, which is not above it")
        self.signed = head
        self._unsigned = {seq: known for seq, known in self._unsigned.items() if seq > head.seq}

    def _settle_torn(self, line: Line) -> None:
        torn, self._torn = self._torn, None
        if torn is None:
            return
        described = ""
        if line.kind == Kind.SEGMENT:
            described = msgspec.json.decode(line.raw, type=Segment).torn_digest
        if described == digest(torn.content):
            self._note(Wrong.TORN, torn.place, f"{len(torn.content)} bytes of an unfinished line, left by a crash")
        else:
            text = f"{len(torn.content)} bytes of a line that no later line accounts for"
            self._note(Wrong.TRUNCATED, torn.place, text)

    def _finish(self) -> None:
        if self._torn is not None:
            text = f"{len(self._torn.content)} bytes of an unfinished line: being written, or left by a crash"
            self._note(Wrong.TORN, self._torn.place, text)
        remembered = self.remembered
        last = self.head.seq if self.head is not None else 0
        if remembered is not None and remembered.seq > last and not self.partial:
            text = f"the lines {last + 1} to {remembered.seq} are gone from the end: line {remembered.seq} was signed"
            self._note(Wrong.TRUNCATED, self._last, text)

    def _note(self, what: Wrong, place: Place, text: str) -> None:
        self.findings.append(Finding(what, place, text))


def pieces_of(file: str, chunks: Iterable[bytes]) -> Iterator[Piece]:
    """A file's content, cut anywhere, as lines and a torn end."""
    number, rest = 1, b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for raw in whole:
            yield Place(file, number), raw
            number += 1
    if rest:
        yield Torn(Place(file, number), rest)
