"""The host's process table as ps(1) prints it, for ``docker top``; its options are the client's, as in Docker."""

import asyncio
from collections.abc import Sequence

from tidegate.base.errors import InternalError, NotSupportedError, UnavailableError

DEADLINE_S = 20.0


async def list_host_processes(options: Sequence[str]) -> str:
    """What ``ps`` prints. No shell is between.

    Raises InternalError with what it complained of, NotSupportedError without a ps, UnavailableError on a deadline.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            "ps", *options, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
    except FileNotFoundError as error:
        raise NotSupportedError("top needs ps on the host, of the package procps") from error
    try:
        output, complaint = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    except TimeoutError as error:
        raise UnavailableError("ps did not end in time") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise InternalError(f"ps: {complaint.decode(errors='replace').strip()}")
    return output.decode(errors="replace")
