"""Decisions are found with what came of them, however long that took."""

from collections.abc import Iterable

from tidegate.cli.audit_follow import news
from tidegate.spec.audit.chain import Line, genesis, parse_line, seal
from tidegate.spec.audit.query import Entry, Selection, as_json, describe, entries
from tidegate.spec.audit.records import Decision, End, EndedBy, Kind, Outcome, Repeated

CHAIN = "k/gate-1"
ATTACH = (Kind.DECISION, Decision("CN=a", "ContainerAttach", True, "r", object="web"))
BEGUN = (Kind.OUTCOME, Outcome(1, 101, 2.0, stream=True))
ENDED = (Kind.END, End(1, 65000.0, EndedBy.REVOKED, 3, 4, "was revoked"))
PING = (Kind.DECISION, Decision("CN=a", "SystemPing", True, "r"))
AGAIN = (Kind.REPEATED, Repeated(1, "CN=a", "SystemPing", 7, "2026-01-01T00:00:00Z", 2, "ci"))


def lines(*records: tuple[Kind, object]) -> list[Line]:
    head, found = genesis(CHAIN), []
    for number, (kind, record) in enumerate(records):
        raw, head = seal(CHAIN, head, kind, number, record)  # type: ignore[arg-type]
        found.append(parse_line(raw[:-1]))
    return found


def told(batches: Iterable[list[Line]]) -> list[list[str]]:
    return [[describe(entry).partition("Z ")[2] for entry in batch] for batch in news(batches)]


def test_a_stream_is_told_with_its_end() -> None:
    (entry,) = entries(lines(ATTACH, BEGUN, ENDED))
    begun = "CN=a unix ContainerAttach web allowed by r 101 2.0ms"
    assert describe(entry).partition("Z ")[2] == f"{begun} ended by revoked after 65.0s 3 bytes in, 4 out was revoked"
    assert b'"end":{"of":1' in as_json(entry)


def test_a_stream_that_goes_on_is_told_without() -> None:
    (entry,) = entries(lines(ATTACH, BEGUN))
    assert (entry.outcome is not None, entry.end, entry.is_over) == (True, None, False)
    assert b'"outcome":{"of":1' in as_json(entry) and b'"end"' not in as_json(entry)


def test_an_end_whose_beginning_is_in_another_file_is_none_of_ours() -> None:
    assert list(entries(lines(ENDED))) == []


def test_repetitions_are_found_by_who_and_what() -> None:
    found = list(entries(lines(PING, (Kind.OUTCOME, Outcome(1, 200, 0.1)), AGAIN)))
    assert [entry.repeated is not None for entry in found] == [False, True]
    assert all(Selection("a", "SystemPing", True).admits(entry) for entry in found)
    text = describe(found[1]).partition("Z ")[2]
    assert text == "CN=a(ci) unix SystemPing 7 times more, until 2026-01-01T00:00:00Z, 2 of them in vain"
    assert b'"count":7' in as_json(found[1])


def test_who_follows_is_told_of_the_beginning_and_of_the_end_and_nothing_twice() -> None:
    attach, begun, other, ended = lines(ATTACH, BEGUN, PING, ENDED)
    begins = "CN=a unix ContainerAttach web allowed by r 101 2.0ms"
    assert told([[attach], [begun], [other], [ended]]) == [
        ["CN=a unix ContainerAttach web allowed by r -"],
        [begins],
        ["CN=a unix SystemPing allowed by r -"],
        [f"{begins} ended by revoked after 65.0s 3 bytes in, 4 out was revoked"],
    ]
    assert told([[attach, begun]]) == [[begins]]


def test_an_entry_is_over_when_nothing_more_can_be_said() -> None:
    attach, begun = lines(ATTACH, BEGUN)
    decision = Decision("CN=a", "SystemInfo", True, "r")
    assert not Entry(attach, decision).is_over
    assert Entry(begun, decision, Outcome(1, 200, 1.0)).is_over


def test_what_clients_sent_does_not_move_a_terminal() -> None:
    decision = Decision("CN=a", "-", False, "unreadable", object="/\x1b[2J", reason="field \x9b1m\n of it, ö")
    (entry,) = entries(lines((Kind.DECISION, decision)))
    assert describe(entry).endswith("/\\x1b[2J refused by unreadable - field \\x9b1m\\n of it, ö")
