"""Child processes that answer with a line of JSON, and then with a stream that is bounded by its pipe."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from tidegate.base.errors import (
    ForbiddenError,
    InternalError,
    InvalidParameterError,
    NotFoundError,
    TidegateError,
)

PIPE_BYTES = 1 << 20
_ERRORS: Mapping[str, type[TidegateError]] = {
    "missing": NotFoundError,
    "invalid": InvalidParameterError,
    "read-only": ForbiddenError,
}


async def start_child(
    command: Sequence[str], request: Mapping[str, Any], passed_fds: Sequence[int] = ()
) -> asyncio.subprocess.Process:
    """A child with pipes, given its request as JSON."""
    return await asyncio.create_subprocess_exec(
        *command,
        json.dumps(request),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=PIPE_BYTES,
        pass_fds=passed_fds,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
    )


async def end_child(child: asyncio.subprocess.Process) -> None:
    """Kill and reap it, if it has not ended by itself."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    await asyncio.shield(child.wait())


async def first_answer(child: asyncio.subprocess.Process) -> Mapping[str, Any]:
    """Its first line. Raises the kind of error it tells of, InternalError when it says nothing."""
    line = await child.stdout.readline() if child.stdout is not None else b""
    if not line:
        complaint = (await child.stderr.read() if child.stderr is not None else b"").decode(errors="replace")
        raise InternalError(f"the archive process said nothing: {complaint.strip()[-500:]}")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise _ERRORS.get(str(answer.get("kind")), InternalError)(str(answer["error"]))
    return answer


async def rest_of(child: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    """What follows the answer. One that breaks off resets the connection: its client must not take it for whole."""
    while child.stdout is not None and (data := await child.stdout.read(PIPE_BYTES)):
        yield data
    if await child.wait() != 0:
        raise ConnectionResetError("the answer broke off")
