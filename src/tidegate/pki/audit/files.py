"""Where an audit stands on disk, and how writing begins there: the part that needs root.

DATA_ROOT/audit (0700) has ``WRITER.NNNNNN.jsonl`` (0600), numbered from 1; the chain goes on from file to file. Files
are only ever appended to; here they are opened and handed over, so that the writer needs no right to the directory.

- A whole last line is gone on from. After a torn one (a crash) a new file begins that accounts for the torn bytes.
- When the end is not what the signer remembers, lines were cut off or rewritten: a new file goes on from what the
  signer remembers, and says so in its first line. Nothing is ever mended in place.
"""

import os
from pathlib import Path

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.durable_files import make_private_directory, sync_directory
from tidegate.spec.audit.chain import Head, genesis, is_whole, parse_line
from tidegate.spec.audit.records import Segment, digest

SUFFIX = ".jsonl"
_TAIL_BYTES = 256 * 1024


class Tail(msgspec.Struct, frozen=True):
    """The end of what is on disk. ``head`` is None without any whole line; ``damage`` says what is wrong with it."""

    chain: str = ""
    head: Head | None = None
    torn: bytes = b""
    damage: str = ""


class Beginning(msgspec.Struct, frozen=True):
    """Where a writer begins: what stands before its first line, what that line says, and in which file."""

    head: Head
    segment: Segment
    new_file: bool


class OpenAudit(msgspec.Struct, frozen=True):
    """A descriptor (O_APPEND) to hand to the writer, and its beginning."""

    fd: int
    chain: str
    beginning: Beginning
    size_bytes: int


def decide_beginning(chain: str, tail: Tail, remembered: Head | None, pid: int) -> Beginning:
    """How the chain goes on after ``tail``, when ``remembered`` is the highest head that was signed."""
    known = tail.head if tail.chain == chain else None
    torn = digest(tail.torn)
    base = known or genesis(chain)
    lost = tail.damage
    if remembered is not None and (remembered.seq > base.seq or (remembered.seq == base.seq and remembered != base)):
        lost = lost or f"line {remembered.seq} was signed, and the audit ends with line {base.seq}"
        base = remembered
    if lost:
        return Beginning(base, Segment("broken", pid, len(tail.torn), torn, lost), True)
    if tail.torn:
        return Beginning(base, Segment("torn", pid, len(tail.torn), torn), True)
    if known is None:
        return Beginning(base, Segment("genesis", pid), True)
    return Beginning(base, Segment("started", pid), False)


def open_audit(directory: Path, key_id: str, writer: str, remembered: Head | None) -> OpenAudit:
    """Open the chain ``KEY_ID/WRITER`` for going on. Raises OSError."""
    chain = f"{key_id}/{writer}"
    make_private_directory(directory)
    files = audit_files(directory, writer)
    beginning = decide_beginning(chain, _read_tail(files), remembered, os.getpid())
    fd = next_file(directory, writer) if beginning.new_file or not files else _open(files[-1], os.O_APPEND)
    return OpenAudit(fd, chain, beginning, os.fstat(fd).st_size)


def next_file(directory: Path, writer: str) -> int:
    """The last file of ``writer`` if it is empty, else a new one after it; open for appending. Raises OSError."""
    files = audit_files(directory, writer)
    if files and files[-1].stat().st_size == 0:
        return _open(files[-1], os.O_APPEND)
    number = _number(files[-1]) + 1 if files else 1
    fd = _open(directory / f"{writer}.{number:06d}{SUFFIX}", os.O_APPEND | os.O_CREAT | os.O_EXCL)
    sync_directory(directory)
    return fd


def audit_files(directory: Path, writer: str = "*") -> list[Path]:
    """The files of a writer, or of all, in the order of writing."""
    found = [path for path in directory.glob(f"{writer}.*{SUFFIX}") if path.name.split(".")[-2].isdecimal()]
    return sorted(found, key=lambda path: (path.name.split(".")[0], _number(path)))


def _number(path: Path) -> int:
    return int(path.name.split(".")[-2])


def _open(path: Path, flags: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)


def _read_tail(files: list[Path]) -> Tail:
    """The end of the last file that has any; an empty one was opened by a writer that never began."""
    torn = b""
    for path in reversed(files):
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            *lines, end = stream.read().split(b"\n")
        torn = torn or end
        if lines:
            return _tail(lines[-1], torn)
    return Tail(torn=torn)


def _tail(raw: bytes, torn: bytes) -> Tail:
    try:
        line = parse_line(raw)
    except InvalidParameterError as error:
        return Tail(torn=torn, damage=error.message)
    if not is_whole(line):
        return Tail(line.chain, None, torn, f"line {line.seq} is not what its hash was made of")
    return Tail(line.chain, line.head, torn)
