"""Finding decisions in an audit, each with what came of it. Pure; streams, since an audit may be long."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

import msgspec

from tidegate.spec.audit.chain import Line
from tidegate.spec.audit.records import Decision, Kind, Outcome


class Entry(msgspec.Struct, frozen=True):
    """A decision, and its outcome unless it is under way, was lost with the gate, or lies in another file."""

    line: Line
    decision: Decision
    outcome: Outcome | None


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


def entries(lines: Iterable[Line]) -> Iterator[Entry]:
    """Decisions joined with outcomes: at the outcome, and those without at the end."""
    open_ones: dict[tuple[str, int], tuple[Line, Decision]] = {}
    for line in lines:
        if line.kind == Kind.DECISION:
            open_ones[line.chain, line.seq] = line, msgspec.json.decode(line.raw, type=Decision)
        elif line.kind == Kind.OUTCOME:
            outcome = msgspec.json.decode(line.raw, type=Outcome)
            decided = open_ones.pop((line.chain, outcome.of), None)
            if decided is not None:
                yield Entry(*decided, outcome)
    for line, decision in open_ones.values():
        yield Entry(line, decision, None)


def describe(entry: Entry) -> str:
    """One line for a person: when, who, what, on what, the verdict and what came of it."""
    decision, outcome = entry.decision, entry.outcome
    subject = decision.object or (outcome.object if outcome is not None else "")
    verdict = "allowed" if decision.allowed else "refused"
    came = f"{outcome.status} {outcome.elapsed_ms:.1f}ms" if outcome is not None else "-"
    role = f"({decision.role})" if decision.role else ""
    words = [entry.line.time, decision.principal + role, decision.address or "unix", decision.operation, subject[:64]]
    return " ".join(word for word in [*words, verdict, f"by {decision.rule}", came, decision.reason] if word)


def as_json(entry: Entry) -> bytes:
    """The decision's own line, with its outcome as a field."""
    whole = msgspec.json.decode(entry.line.raw)
    whole["outcome"] = msgspec.to_builtins(entry.outcome) if entry.outcome is not None else None
    return msgspec.json.encode(whole)


def _names(principal: str, pattern: str) -> bool:
    return fnmatchcase(principal, pattern) or fnmatchcase(principal.partition("=")[2], pattern)


def _objects(entry: Entry) -> tuple[str, ...]:
    return (entry.decision.object, entry.outcome.object if entry.outcome is not None else "")
