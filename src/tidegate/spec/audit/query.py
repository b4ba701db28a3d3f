"""Finding decisions in an audit, each with what came of it. Pure; streams, since an audit may be long."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

import msgspec

from tidegate.base.logs import printable
from tidegate.spec.audit.chain import Line
from tidegate.spec.audit.records import Decision, End, Kind, Outcome, Repeated


class Entry(msgspec.Struct, frozen=True):
    """A decision, and its outcome unless it is under way, was lost with the gate, or lies in another file.

    ``end`` is that of a stream, when it has ended. ``repeated`` tells of further requests like it; its ``line`` is then
    the one that says so.
    """

    line: Line
    decision: Decision
    outcome: Outcome | None = None
    end: End | None = None
    repeated: Repeated | None = None

    @property
    def is_over(self) -> bool:
        """Whether no later line can say more."""
        if self.outcome is None:
            return self.repeated is not None
        return not self.outcome.stream or self.end is not None


class Selection(msgspec.Struct, frozen=True):
    """What is asked for. Texts are patterns (``*``, ``?``); ``object_id`` is the beginning of an id or a name.

    ``principal`` is asked as shown ("CN=alice") or as its name alone. Times are stamps as of a line.
    """

    principal: str | None = None
    operation: str | None = None
    allowed: bool | None = None
    since: str | None = None
    until: str | None = None
    object_id: str | None = None

    def admits(self, entry: Entry) -> bool:
        """Whether the entry is one of those asked for."""
        decision = entry.decision
        return (
            (self.allowed is None or decision.allowed is self.allowed)
            and (self.since is None or entry.line.time >= self.since)
            and (self.until is None or entry.line.time < self.until)
            and (self.operation is None or fnmatchcase(decision.operation, self.operation))
            and (self.principal is None or _names(decision.principal, self.principal))
            and (self.object_id is None or any(each.startswith(self.object_id) for each in _objects(entry)))
        )


class Entries:
    """Joins lines, as they come, to entries; those of one chain in their order."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], Entry] = {}

    def add(self, line: Line) -> Entry | None:
        """The entry about which ``line`` says the last word."""
        entry = self._joined(line)
        if entry is None:
            return None
        place = entry.line.chain, entry.line.seq
        if entry.is_over:
            self._open.pop(place, None)
            return entry
        self._open[place] = entry
        return None

    def under_way(self) -> Iterator[Entry]:
        """Those that are not over."""
        yield from self._open.values()

    def _joined(self, line: Line) -> Entry | None:
        match line.kind:
            case Kind.DECISION:
                return Entry(line, msgspec.json.decode(line.raw, type=Decision))
            case Kind.OUTCOME:
                outcome = msgspec.json.decode(line.raw, type=Outcome)
                return self._with(line.chain, outcome.of, outcome=outcome)
            case Kind.END:
                end = msgspec.json.decode(line.raw, type=End)
                return self._with(line.chain, end.of, end=end)
            case Kind.REPEATED:
                return _repetition(line)
        return None

    def _with(self, chain: str, of: int, **more: object) -> Entry | None:
        known = self._open.get((chain, of))
        return msgspec.structs.replace(known, **more) if known is not None else None


def entries(lines: Iterable[Line]) -> Iterator[Entry]:
    """Decisions joined with what came of them: each at the last word about it, and those without one at the end."""
    joining = Entries()
    for line in lines:
        entry = joining.add(line)
        if entry is not None:
            yield entry
    yield from joining.under_way()


def _repetition(line: Line) -> Entry:
    again = msgspec.json.decode(line.raw, type=Repeated)
    decision = Decision(
        again.principal, again.operation, True, "repeated", again.role, again.certificate, again.address
    )
    return Entry(line, decision, repeated=again)


def describe(entry: Entry) -> str:
    """One line for a person and a terminal: when, who, what, on what, the verdict and what came of it."""
    decision, outcome = entry.decision, entry.outcome
    subject = decision.object or (outcome.object if outcome is not None else "")
    role = f"({decision.role})" if decision.role else ""
    words = [entry.line.time, decision.principal + role, decision.address or "unix", decision.operation, subject[:64]]
    return printable(" ".join(word for word in [*words, *_what_came(entry), decision.reason] if word))


def _what_came(entry: Entry) -> Iterator[str]:
    if entry.repeated is not None:
        failed = f", {entry.repeated.failed} of them in vain" if entry.repeated.failed else ""
        yield f"{entry.repeated.count} times more, until {entry.repeated.last}{failed}"
        return
    yield f"{'allowed' if entry.decision.allowed else 'refused'} by {entry.decision.rule}"
    outcome, end = entry.outcome, entry.end
    yield f"{outcome.status} {outcome.elapsed_ms:.1f}ms" if outcome is not None else "-"
    if end is not None:
        yield f"ended by {end.ended_by} after {end.elapsed_ms / 1e3:.1f}s"
        yield f"{end.received_bytes} bytes in, {end.sent_bytes} out"
        yield end.reason


def as_json(entry: Entry) -> bytes:
    """The decision's own line, with its outcome and the end of its stream as fields; or a line about repetitions."""
    whole = msgspec.json.decode(entry.line.raw)
    if entry.repeated is None:
        whole["outcome"] = msgspec.to_builtins(entry.outcome)
    if entry.end is not None:
        whole["end"] = msgspec.to_builtins(entry.end)
    return msgspec.json.encode(whole)


def _names(principal: str, pattern: str) -> bool:
    return fnmatchcase(principal, pattern) or fnmatchcase(principal.partition("=")[2], pattern)


def _objects(entry: Entry) -> tuple[str, ...]:
    return (entry.decision.object, entry.outcome.object if entry.outcome is not None else "")
