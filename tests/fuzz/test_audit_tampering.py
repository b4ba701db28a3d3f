"""Whatever is done to the bytes of a signed audit is found."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.spec.audit.chain import Head, checkpoint_message, genesis, seal
from tidegate.spec.audit.records import Checkpoint, Decision, End, EndedBy, Kind, Outcome, Repeated, Segment
from tidegate.spec.audit.verify import Walk, pieces_of

CHAIN = "00112233aabbccdd/gate-1"


def sign(message: bytes) -> str:
    return hashlib.sha256(b"secret" + message).hexdigest()


def write() -> tuple[bytes, Head]:
    """A whole audit of some lines, the last of them signed."""
    line, head = seal(CHAIN, genesis(CHAIN), Kind.SEGMENT, 1, Segment("genesis", 7))
    content = line
    for number in range(12):
        line, decided = seal(CHAIN, head, Kind.DECISION, number, Decision(f"CN=a{number}", "ContainerList", True, "r"))
        content += line
        line, head = seal(CHAIN, decided, Kind.OUTCOME, number, Outcome(decided.seq, 200, 0.25))
        content += line
        if number % 3 == 0:
            line, head = seal(CHAIN, head, Kind.END, number, End(decided.seq, 5.0, EndedBy.CUT, 1, 2, "why"))
            content += line
            again = Repeated(decided.seq, f"CN=a{number}", "SystemPing", 3, "t")
            line, head = seal(CHAIN, head, Kind.REPEATED, number, again)
            content += line
        if number % 4 == 3:
            signature = sign(checkpoint_message(CHAIN, head, "t"))
            line, head = seal(
                CHAIN, head, Kind.CHECKPOINT, number, Checkpoint(head.seq, head.hash, "t", "k", signature)
            )
            content += line
    return content, head


CONTENT, HEAD = write()
LINES = CONTENT.splitlines(keepends=True)

positions = st.integers(0, len(CONTENT) - 1)
line_numbers = st.integers(0, len(LINES) - 1)


@st.composite
def tampered(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["byte", "delete", "insert", "cut", "lines", "repeat", "shuffle"]))
    if kind == "byte":
        at = draw(positions)
        return CONTENT[:at] + bytes([draw(st.integers(0, 255))]) + CONTENT[at + 1 :]
    if kind in ("delete", "insert"):
        start, more = draw(positions), draw(st.integers(1, 900))
        added = draw(st.binary(min_size=1, max_size=40)) if kind == "insert" else b""
        return CONTENT[:start] + added + CONTENT[start if kind == "insert" else start + more :]
    if kind == "cut":
        return CONTENT[: draw(positions)]
    if kind == "lines":
        kept = draw(st.lists(st.booleans(), min_size=len(LINES), max_size=len(LINES)))
        return b"".join(line for line, keep in zip(LINES, kept, strict=True) if keep)
    if kind == "repeat":
        at = draw(line_numbers)
        return b"".join([*LINES[:at], LINES[at], *LINES[at:]])
    return b"".join(draw(st.permutations(LINES)))


def is_found(content: bytes) -> bool:
    walk = Walk(CHAIN, lambda message, signature: signature == sign(message), HEAD)
    walk.run(pieces_of("f", [content]))
    return any(finding.is_tampering for finding in walk.findings)


def test_what_was_written_is_whole() -> None:
    assert not is_found(CONTENT)


@settings(max_examples=600, deadline=None)
@given(tampered())
def test_what_was_changed_is_found(content: bytes) -> None:
    begun = content.startswith(CONTENT) and b"\n" not in content[len(CONTENT) :]  # a next line that is being written
    assert is_found(content) is not (content == CONTENT or begun)
