"""Two steps between a parent and its child, over a real pair of sockets."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.base.reload_link import Commit, ReloadedChild, ReloadingChild, reload_link


def between(scenario: Callable[[ReloadedChild, ReloadingChild, list[bytes]], Awaitable[None]]) -> list[bytes]:
    """What the child has made true."""
    done: list[bytes] = []

    def prepare(document: bytes) -> Commit:
        if document == b"bad":
            raise InvalidParameterError("labels: bad")
        return lambda: done.append(document)

    async def play() -> None:
        ours, theirs = reload_link()
        child = ReloadingChild(theirs, prepare)
        child.listen()
        with ours:
            await scenario(ReloadedChild("engine", ours), child, done)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            child.close()

    asyncio.run(play())
    return done


def test_what_was_prepared_and_committed_holds() -> None:
    async def scenario(parent: ReloadedChild, _child: ReloadingChild, done: list[bytes]) -> None:
        await parent.prepare(b"first" * 20_000)
        assert done == []
        parent.commit()
        await parent.prepare(b"second")
        parent.commit()

    assert between(scenario) == [b"first" * 20_000, b"second"]


def test_what_was_aborted_or_overtaken_does_not() -> None:
    async def scenario(parent: ReloadedChild, _child: ReloadingChild, _done: list[bytes]) -> None:
        await parent.prepare(b"first")
        parent.abort()
        parent.commit()
        await parent.prepare(b"second")
        with pytest.raises(InvalidParameterError, match="engine: labels: bad"):
            await parent.prepare(b"bad")
        parent.commit()

    assert between(scenario) == []


def test_an_answer_that_comes_too_late_is_none_to_the_next_question() -> None:
    async def scenario() -> None:
        ours, theirs = reload_link()
        with ours, theirs:
            theirs.send(b"ready")  # to a question that was given up
            child = ReloadingChild(theirs, refuse)
            child.listen()
            with pytest.raises(InvalidParameterError, match="engine: not me"):
                await ReloadedChild("engine", ours).prepare(b"next")
            child.close()

    def refuse(_document: bytes) -> Commit:
        raise InvalidParameterError("not me")

    asyncio.run(scenario())


def test_a_child_that_has_gone_is_an_error() -> None:
    async def scenario(parent: ReloadedChild, child: ReloadingChild, _done: list[bytes]) -> None:
        child.close()
        with pytest.raises(UnavailableError, match="engine does not answer"):
            await parent.prepare(b"first")
        with pytest.raises(UnavailableError, match="engine is gone"):
            parent.commit()

    assert between(scenario) == []
