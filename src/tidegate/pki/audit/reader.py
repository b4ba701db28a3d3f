"""Reading audits back: which files make which chain, and whether each chain is what was written.

What can be wrong with files rather than lines is found here: two that have changed places, one that is another chain's.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.audit.files import SUFFIX
from tidegate.pki.audit.signer import AuditVerifier
from tidegate.spec.audit.chain import Head, Line, parse_line
from tidegate.spec.audit.verify import Finding, Piece, Place, Torn, Walk, Wrong, pieces_of

_CHUNK_BYTES = 1024 * 1024
_FIRST_LINES = 100


class AuditFile(msgspec.Struct, frozen=True):
    """A file, and the first line in it that can be read; ``chain`` is "" when there is none."""

    path: Path
    chain: str
    first_seq: int


@dataclass(slots=True)
class Report:
    """What was found in all files; ``walks`` has one for each chain."""

    walks: list[Walk] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_tampered(self) -> bool:
        return any(finding.is_tampering for finding in self.findings)


class Memory(msgspec.Struct, frozen=True):
    """What is known of chains beside their lines: the highest heads signed, the last lines dropped on purpose."""

    signed: Mapping[str, Head]
    dropped: Mapping[str, Head] = msgspec.field(default_factory=dict)


def verify_files(
    paths: Sequence[Path],
    verifiers: Mapping[str, AuditVerifier],
    memory: Memory,
    partial: bool = False,
) -> Report:
    """Look at whole files. ``verifiers`` by key id. Raises OSError."""
    report = Report()
    chains: dict[str, list[AuditFile]] = {}
    for path in paths:
        file = _look(path)
        if file.chain:
            chains.setdefault(file.chain, []).append(file)
            _check_name(file, report)
        elif path.stat().st_size:
            report.findings.append(Finding(Wrong.UNREADABLE, Place(str(path), 1), "no line of an audit in this file"))
    for chain in sorted({*chains, *memory.signed}):
        files = chains.get(chain, [])
        verifier = verifiers.get(chain.partition("/")[0])
        if verifier is None:
            for file in files:
                text = f"the chain {chain} is signed by another key: name its public key with --key"
                report.findings.append(Finding(Wrong.FOREIGN, Place(str(file.path), 1), text))
            continue
        ordered = _order(files, report)
        walk = Walk(chain, verifier.is_signed, memory.signed.get(chain), partial, memory.dropped.get(chain))
        walk.run(read_pieces(file.path for file in ordered))
        report.walks.append(walk)
        report.findings += walk.findings
    return report


def read_lines(chains: Iterable[Iterable[Path]]) -> Iterator[Line]:
    """The lines of several chains by their time; what is no line is left out (verifying is another matter)."""
    yield from heapq.merge(*(_lines(paths) for paths in chains), key=lambda line: line.time)


def read_pieces(paths: Iterable[Path]) -> Iterator[Piece]:
    """The files as lines and torn ends, in the order given."""
    for path in paths:
        with path.open("rb") as stream:
            yield from pieces_of(str(path), iter(lambda: stream.read(_CHUNK_BYTES), b""))


def group_by_chain(paths: Iterable[Path]) -> list[list[Path]]:
    """Files of the same chain together, in the order of their lines."""
    chains: dict[str, list[AuditFile]] = {}
    for path in paths:
        file = _look(path)
        chains.setdefault(file.chain, []).append(file)
    return [[file.path for file in sorted(files, key=lambda file: file.first_seq)] for files in chains.values()]


def chains_of(paths: Iterable[Path]) -> set[str]:
    """The names of the chains in these files."""
    return {_look(path).chain for path in paths}


def _lines(paths: Iterable[Path]) -> Iterator[Line]:
    for piece in read_pieces(paths):
        if not isinstance(piece, Torn):
            try:
                yield parse_line(piece[1])
            except InvalidParameterError:
                continue


def _look(path: Path) -> AuditFile:
    """The chain of a file is that of its first readable line; an unreadable one is the walk's to find."""
    for number, piece in enumerate(read_pieces([path])):
        if isinstance(piece, Torn) or number >= _FIRST_LINES:
            break
        try:
            line = parse_line(piece[1])
        except InvalidParameterError:
            continue
        return AuditFile(path, line.chain, line.seq)
    return AuditFile(path, "", 0)


def _check_name(file: AuditFile, report: Report) -> None:
    writer, _, number = file.path.name.removesuffix(SUFFIX).rpartition(".")
    own = file.chain.partition("/")[2]
    if file.path.name.endswith(SUFFIX) and number.isdecimal() and writer != own:
        text = f"this file has the chain of {own}"
        report.findings.append(Finding(Wrong.SWAPPED, Place(str(file.path), 1), text))


def _order(files: list[AuditFile], report: Report) -> list[AuditFile]:
    """The files by their lines; a finding for each whose name says otherwise."""
    by_name = sorted(files, key=lambda file: file.path.name)
    by_line = sorted(files, key=lambda file: file.first_seq)
    for named, there in zip(by_name, by_line, strict=True):
        if named is not there and named.path.name.endswith(SUFFIX):
            text = f"begins with line {named.first_seq}, where its name would have line {there.first_seq}"
            report.findings.append(Finding(Wrong.SWAPPED, Place(str(named.path), 1), text))
    return by_line
