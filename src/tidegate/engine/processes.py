"""The processes of a container as the host sees them (``docker top``): ps's table, and of it the container's rows.

The options of ps are the client's. They must leave a column PID, by which the rows are told apart.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec

from tidegate.base.errors import ConflictError, InternalError, InvalidParameterError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.ports import Runtime
from tidegate.model.phases import Phase

ListProcesses = Callable[[Sequence[str]], Awaitable[str]]
"""Options of ps -> what it prints."""

DEFAULT_OPTIONS = "-ef"
_RENAMED_TO_PID = re.compile(r"\s+(\S*)=\s*(PID\S*)")


class ProcessTable(msgspec.Struct, frozen=True):
    """``rows`` have as many fields as there are titles."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]


class ProcessService(msgspec.Struct, frozen=True):
    """``list_processes`` asks the host."""

    containers: ContainerService
    runtime: Runtime
    list_processes: ListProcesses

    async def top(self, name_or_id: str, options: str = "") -> ProcessTable:
        """Raises ConflictError when nothing runs, InvalidParameterError for options that rename a column to PID,
        InternalError when ps complains or prints no PID."""
        words = options or DEFAULT_OPTIONS
        for column, title in _RENAMED_TO_PID.findall(words):
            if column != "pid":
                raise InvalidParameterError(f'specifying "{column}={title}" is not allowed')
        container = self.containers.resolve(name_or_id)
        if container.state.phase is Phase.RESTARTING:
            raise ConflictError(f"container {container.id} is restarting, wait until the container is running")
        if container.state.phase not in (Phase.RUNNING, Phase.STOPPING, Phase.PAUSED):
            raise ConflictError(f"container {container.id} is not running")
        pids = await self.runtime.pids(container.id)
        found = select_rows(await self.list_processes(words.split()), {str(pid) for pid in pids})
        self.containers.publish(container.id, "top", {})
        return found


def select_rows(printed: str, pids: Collection[str]) -> ProcessTable:
    """The rows of the processes, and of their threads (``-`` under PID, below their process). Raises InternalError."""
    lines = printed.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InternalError("Couldn't find PID field in ps output")
    place, last = titles.index("PID"), len(titles) - 1
    rows, follows = [], False
    for line in lines[1:]:
        fields = line.split()
        if len(fields) <= place:
            continue
        follows = fields[place] in pids or (fields[place] == "-" and follows)
        if follows:
            rows.append([*fields[:last], " ".join(fields[last:])])
    return ProcessTable(titles, rows)
