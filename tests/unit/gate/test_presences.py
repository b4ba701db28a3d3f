"""A cut ends exactly the connections that may not stay, whatever they were doing."""

import asyncio

from tidegate.gate.presences import Cut, Presences
from tidegate.spec.audit.records import EndedBy

REVOKED = Cut(EndedBy.REVOKED)


def _closed() -> None:
    """There is no connection."""


def test_a_cut_ends_those_that_may_not_stay_and_forgets_them() -> None:
    async def main() -> None:
        presences: Presences[str, str] = Presences()

        async def connection(who: str) -> None:
            presences.note(who, _closed, "list")
            presences.note(who, _closed, "attach")
            await asyncio.Event().wait()

        tasks = [asyncio.create_task(connection(who), name=who) for who in ("alice", "bob", "alice")]
        await asyncio.sleep(0)
        assert len(presences) == 3
        assert presences.cut(lambda who, what: REVOKED if (who, what) == ("alice", "attach") else None) == 2
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [task.done() for task in tasks] == [True, False, True]
        assert len(presences) == 1
        tasks[1].cancel()
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
        assert len(presences) == 0

    asyncio.run(main())


def test_the_last_request_of_a_connection_is_what_counts() -> None:
    async def main() -> None:
        presences: Presences[str, str] = Presences()
        presences.note("alice", _closed, "attach")
        presences.note("alice", _closed, "ping")
        assert presences.cut(lambda who, what: None if what == "ping" else REVOKED) == 0

    asyncio.run(main())


def test_all_connections_are_closed_before_any_task_tidies_up() -> None:
    async def main() -> None:
        presences: Presences[str, str] = Presences()
        happened: list[str] = []

        async def connection(name: str) -> None:
            presences.note(name, lambda: happened.append(f"closed {name}"), "logs")
            try:
                await asyncio.Event().wait()
            finally:
                happened.append(f"tidied {name}")

        tasks = [asyncio.create_task(connection(name), name=name) for name in ("first", "second")]
        await asyncio.sleep(0)
        presences.cut(lambda who, what: REVOKED)
        await asyncio.wait(tasks)
        assert happened == ["closed first", "closed second", "tidied first", "tidied second"]

    asyncio.run(main())


def test_a_connection_knows_why_it_was_cut_and_a_later_end_of_the_gate_changes_nothing() -> None:
    async def main() -> None:
        presences: Presences[str, str] = Presences()
        noted = [presences.note("alice", _closed, "logs")]
        assert presences.current() is noted[0]

        async def another() -> None:
            noted.append(presences.note("bob", _closed, "logs"))
            await asyncio.Event().wait()

        task = asyncio.create_task(another(), name="bob")
        await asyncio.sleep(0)
        presences.cut(lambda who, what: REVOKED if who == "bob" else None)
        presences.cut(lambda who, what: None)
        presences.stop()
        assert [presence.cut for presence in noted] == [Cut(EndedBy.STOPPED), REVOKED]
        await asyncio.wait({task})

    asyncio.run(main())
