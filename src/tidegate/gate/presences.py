"""Who is connected and what each connection is doing, so that it can be cut when it may no longer do it.

A connection is served by one task from its first request to its end (``http/server``), whatever it carries: a plain
answer, followed logs, an attached terminal. A presence is therefore kept by task. Cutting closes the connections first,
all of them; then the tasks are cancelled, and what they held (the engine's side) is let go: among a thousand streams
the last to be cut does not wait until the others are tidied up.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from tidegate.spec.audit.records import EndedBy

Who = TypeVar("Who")
What = TypeVar("What")


class Cut(msgspec.Struct, frozen=True):
    """Why the gate ends a connection; ``by`` is how the audit calls it."""

    by: EndedBy
    reason: str = ""


def connection_task() -> asyncio.Task[object]:
    """The task that serves the connection of whoever calls this."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - handlers run in the task of their connection
    return task


@dataclass(slots=True)
class Presence(Generic[Who, What]):
    """``what`` is the last request of the connection; it may be over, the connection between two.

    ``cut`` is why the gate ends it, None while it does not.
    """

    who: Who
    what: What
    abort: Callable[[], None]
    cut: Cut | None = None


class Presences(Generic[Who, What]):
    """All connections of one gate worker."""

    def __init__(self) -> None:
        self._by_task: dict[asyncio.Task[object], Presence[Who, What]] = {}

    def note(self, who: Who, abort: Callable[[], None], what: What) -> Presence[Who, What]:
        """The connection served by the current task, which ``abort`` closes at once, does this now."""
        task = connection_task()
        known = self._by_task.get(task)
        if known is None:
            known = self._by_task[task] = Presence(who, what, abort)
            task.add_done_callback(self._forget)
        else:
            known.who, known.what = who, what
        return known

    def current(self) -> Presence[Who, What]:
        """The connection that the current task serves, which was noted before."""
        return self._by_task[connection_task()]

    def cut(self, why_not: Callable[[Who, What], Cut | None]) -> int:
        """End every connection for which there is a reason why it may not stay; how many those were."""
        gone = []
        for task, presence in self._by_task.items():
            cut = why_not(presence.who, presence.what)
            if cut is not None:
                presence.cut = cut
                presence.abort()
                gone.append(task)
        for task in gone:
            task.cancel("cut by the gate")
        return len(gone)

    def stop(self) -> None:
        """The gate ends: what does not end by itself from now on was ended by that."""
        for presence in self._by_task.values():
            presence.cut = presence.cut or Cut(EndedBy.STOPPED)

    def __len__(self) -> int:
        return len(self._by_task)

    def _forget(self, task: asyncio.Task[object]) -> None:
        del self._by_task[task]
