"""What was done to an audit is found, named for what it is, and once; what a crash leaves is told apart from it."""

import hashlib
from collections.abc import Callable

import pytest

from tidegate.spec.audit.chain import Head, bounded, checkpoint_message, genesis, is_whole, parse_line, seal
from tidegate.spec.audit.records import Checkpoint, Decision, Kind, Outcome, Segment, digest, tidy
from tidegate.spec.audit.verify import MOST_UNSIGNED_LINES, Piece, Torn, Walk, Wrong, pieces_of

CHAIN = "00112233aabbccdd/gate-0"


def fake_signature(message: bytes) -> str:
    return hashlib.sha256(b"key" + message).hexdigest()


def is_signed(message: bytes, signature: str) -> bool:
    return signature == fake_signature(message)


def write(count: int, chain: str = CHAIN, checkpoint_every: int = 5) -> list[bytes]:
    """Lines without newlines: a segment, then decisions, with a checkpoint now and then."""
    lines, head = [], genesis(chain)
    raw, head = seal(chain, head, Kind.SEGMENT, 1, Segment("genesis", 7))
    lines.append(raw[:-1])
    while len(lines) < count:
        if len(lines) % checkpoint_every == 0:
            signature = fake_signature(checkpoint_message(chain, head, "t"))
            record: Checkpoint | Decision = Checkpoint(head.seq, head.hash, "t", "k", signature)
            kind = Kind.CHECKPOINT
        else:
            record, kind = Decision("CN=a", "ContainerList", True, "admin", object=str(len(lines))), Kind.DECISION
        raw, head = seal(chain, head, kind, len(lines), record)
        lines.append(raw[:-1])
    return lines


def verify(lines: list[bytes], remembered: Head | None = None, partial: bool = False) -> list[tuple[Wrong, int]]:
    pieces: list[Piece] = list(pieces_of("f", [b"".join(line + b"\n" for line in lines)]))
    walk = Walk(CHAIN, is_signed, remembered, partial).run(pieces)
    assert walk.lines == len(lines)
    return [(finding.what, finding.place.number) for finding in walk.findings]


def rewritten(lines: list[bytes], start: int) -> list[bytes]:
    """Everything from ``start`` on, with hashes that fit again: what someone without the key can do."""
    head = parse_line(lines[start - 1]).head
    out = lines[:start]
    for raw in lines[start:]:
        line = parse_line(raw)
        record: Checkpoint | Decision = Decision("CN=nobody", "SystemPing", True, "admin")
        if line.kind == Kind.CHECKPOINT:
            record = Checkpoint(head.seq, head.hash, "t", "k", "invented")
        sealed, head = seal(CHAIN, head, line.kind, 1, record)
        out.append(sealed[:-1])
    return out


def test_what_was_written_is_whole() -> None:
    lines = write(23)
    assert verify(lines) == []
    assert verify(lines, remembered=parse_line(lines[20]).head) == []


def test_a_line_says_who_did_what() -> None:
    record = Decision("CN=alice", "ContainerCreate", False, "bind-source", "developer", "0A", "10.0.0.1:5", reason="no")
    raw, head = seal(CHAIN, genesis(CHAIN), Kind.DECISION, 1_700_000_000_000_000_001, record)
    line = parse_line(raw.rstrip())
    assert is_whole(line)
    assert line.head == head == Head(1, line.hash)
    assert line.time == "2023-11-14T22:13:20.000000001Z"
    assert b'"principal":"CN=alice","operation":"ContainerCreate","allowed":false,"rule":"bind-source"' in raw


Change = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda x: [*x[:7], x[7].replace(b"CN=a", b"CN=b"), *x[8:]], [(Wrong.EDITED, 8)]),
        (lambda x: [*x[:7], x[7].replace(b'"seq":8', b'"seq":9999'), *x[8:]], [(Wrong.EDITED, 8)]),
        (lambda x: [*x[:7], b"", *x[8:]], [(Wrong.UNREADABLE, 8)]),
        (lambda x: [*x[:7], b"\xff\xfe", *x[7:]], [(Wrong.UNREADABLE, 8)]),
        (lambda x: [*x[:7], *x[8:]], [(Wrong.DELETED, 8)]),
        (lambda x: [*x[:7], *x[12:]], [(Wrong.DELETED, 8)]),
        (lambda x: [*x[:7], x[8], x[7], *x[9:]], [(Wrong.REORDERED, 9)]),
        (lambda x: [*x[:7], x[6], *x[7:]], [(Wrong.REORDERED, 8)]),
        (lambda x: x[1:], [(Wrong.DELETED, 1)]),
        (lambda x: [*x[:7], *write(23, "ffff/gate-0")[7:9], *x[9:]], [(Wrong.FOREIGN, 8), (Wrong.FOREIGN, 9)]),
    ],
    ids=["edited", "renumbered", "blanked", "inserted", "one", "five", "swapped", "repeated", "beginning", "foreign"],
)
def test_each_change_is_found_once_and_named(change: Change, found: list[tuple[Wrong, int]]) -> None:
    assert verify(change(write(23))) == found


def test_a_chain_written_anew_is_found_by_its_signatures() -> None:
    kinds = {what for what, _ in verify(rewritten(write(23), 7))}
    assert kinds == {Wrong.SIGNATURE}


def test_a_chain_written_anew_without_signatures_is_found_by_the_memory() -> None:
    lines = write(23)
    remembered = parse_line(lines[19]).head
    unsigned = [raw for raw in lines[7:] if parse_line(raw).kind != Kind.CHECKPOINT]
    assert verify(rewritten([*lines[:7], *unsigned], 7), remembered) == [(Wrong.EDITED, 20)]


def test_an_end_cut_off_is_found_by_the_memory() -> None:
    lines = write(23)
    assert verify(lines[:12], parse_line(lines[19]).head) == [(Wrong.TRUNCATED, 12)]
    assert verify([], parse_line(lines[19]).head) == [(Wrong.TRUNCATED, 0)]
    assert verify(lines[:12]) == []


def test_a_part_of_a_chain_can_be_looked_at() -> None:
    lines = write(23)
    assert verify(lines[7:19], parse_line(lines[21]).head, partial=True) == []


def test_lines_that_nobody_vouches_for_are_too_many_at_some_time() -> None:
    lines = write(MOST_UNSIGNED_LINES + 1, checkpoint_every=10**9)
    assert verify(lines) == [(Wrong.UNSIGNED, MOST_UNSIGNED_LINES + 1)]


def test_a_signature_over_another_chain_does_not_count() -> None:
    lines = write(5)
    head = parse_line(lines[-1]).head
    signature = fake_signature(checkpoint_message("other/gate-0", head, "t"))
    raw, _ = seal(CHAIN, head, Kind.CHECKPOINT, 1, Checkpoint(head.seq, head.hash, "t", "k", signature))
    assert verify([*lines, raw[:-1]]) == [(Wrong.SIGNATURE, 6)]


@pytest.mark.parametrize(
    ("content", "reason", "found"),
    [
        (b'{"chain":"x', "torn", Wrong.TORN),
        (b'{"chain":"y', "torn", Wrong.TRUNCATED),
        (b'{"chain":"x', "started", Wrong.TRUNCATED),
    ],
)
def test_a_torn_end_is_a_crash_only_if_the_next_start_says_so(content: bytes, reason: str, found: Wrong) -> None:
    lines = write(8)
    seen = digest(b'{"chain":"x') if reason == "torn" else ""
    raw, _ = seal(CHAIN, parse_line(lines[-1]).head, Kind.SEGMENT, 1, Segment(reason, 1, 11, seen))
    first: list[Piece] = list(pieces_of("1", [b"\n".join([*lines, content])]))
    walk = Walk(CHAIN, is_signed).run([*first, *pieces_of("2", [raw])])
    assert [finding.what for finding in walk.findings] == [found]
    assert str(walk.findings[0].place) == "1:9"
    assert walk.findings[0].is_tampering is (found is not Wrong.TORN)


def test_a_torn_end_that_nobody_has_seen_yet_is_no_tampering() -> None:
    walk = Walk(CHAIN, is_signed).run([*pieces_of("1", [b"\n".join(write(3)), b'\n{"ch']), *pieces_of("2", [])])
    assert [finding.what for finding in walk.findings] == [Wrong.TORN]


def test_pieces_do_not_depend_on_how_a_file_is_read() -> None:
    content = b"one\ntwo\n\nthree"
    whole = list(pieces_of("f", [content]))
    assert whole == list(pieces_of("f", [bytes([byte]) for byte in content]))
    assert isinstance(whole[-1], Torn)
    assert [piece[1] for piece in whole[:-1] if not isinstance(piece, Torn)] == [b"one", b"two", b""]


def test_what_a_client_chose_is_bounded_and_printable() -> None:
    huge = Decision("CN=a", "X", True, "r", object="o" * 100_000, facts={"Binds": ["b" * 5000] * 5000})
    small = tidy(huge)
    raw, _ = seal(CHAIN, genesis(CHAIN), Kind.DECISION, 0, small)
    assert len(raw) < 2000
    assert small.object.startswith("ooo") and "sha256:" in small.object
    assert tidy(Decision("CN=a", "X", True, "r", facts={"Image": ["a"]})).facts == {"Image": ["a"]}
    raw, _ = seal(
        CHAIN, genesis(CHAIN), Kind.DECISION, 0, Decision("CN=\udce4\n", "X", True, "r", facts={"a": ["\udce4"]})
    )
    assert raw.count(b"\n") == 1
    assert is_whole(parse_line(raw[:-1]))
    assert bounded("x" * 512) == "x" * 512
    raw, _ = seal(CHAIN, genesis(CHAIN), Kind.OUTCOME, 0, Outcome(1, 200, 0.5))
    assert b'"kind":"outcome","of":1,"status":200,"elapsed_ms":0.5,"prev":"' in raw
