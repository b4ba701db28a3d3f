"""Who is connected and what each connection is doing, so that it can be cut when it may no longer do it.

A connection is served by one task from its first request to its end (``http/server``), whatever it carries: a plain
answer, followed logs, an attached terminal. A presence is therefore kept by task; cutting is cancelling, on which the
server drops the connection at once and the splice closes the engine's side.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Who = TypeVar("Who")
What = TypeVar("What")


@dataclass(slots=True)
class Presence(Generic[Who, What]):
    """``what`` is the last request of the connection; it may be over, the connection between two."""

    who: Who
    what: What


class Presences(Generic[Who, What]):
    """All connections of one gate worker."""

    def __init__(self) -> None:
        self._by_task: dict[asyncio.Task[object], Presence[Who, What]] = {}

    def note(self, who: Who, what: What) -> None:
        """The connection served by the current task does this now."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - handlers run in the task of their connection
        known = self._by_task.get(task)
        if known is None:
            self._by_task[task] = Presence(who, what)
            task.add_done_callback(self._forget)
        else:
            known.who, known.what = who, what

    def cut(self, may_stay: Callable[[Who, What], bool]) -> int:
        """End every connection that may not stay; how many those were."""
        gone = [task for task, presence in self._by_task.items() if not may_stay(presence.who, presence.what)]
        for task in gone:
            task.cancel("cut by the gate")
        return len(gone)

    def __len__(self) -> int:
        return len(self._by_task)

    def _forget(self, task: asyncio.Task[object]) -> None:
        del self._by_task[task]
