"""Streams of clients that attach before the container starts, as ``docker run`` does.

The client gets its stream at once; it is bound to the process's between the runtime's ``create`` and ``start``, so that
no output is missed. A container that is released or removed instead ends it.
"""

import asyncio

import msgspec

from tidegate.engine.ports import AttachStream, Runtime


class Wanted(msgspec.Struct, frozen=True):
    """Which streams a client attaches to."""

    stdin: bool
    stdout: bool
    stderr: bool


class EarlyStream:
    """An AttachStream whose process is still to come; ``read`` and ``write`` wait for it."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._bound: asyncio.Future[AttachStream | None] = asyncio.get_running_loop().create_future()

    @property
    def settled(self) -> bool:
        """Whether it is bound, ended or closed."""
        return self._bound.done()

    def bind(self, stream: AttachStream | None) -> None:
        """Connect to the process's stream; None ends it."""
        if not self._bound.done():
            self._bound.set_result(stream)

    async def _stream(self) -> AttachStream | None:
        return await asyncio.shield(self._bound)

    async def read(self) -> bytes:
        stream = await self._stream()
        return b"" if stream is None else await stream.read()

    async def write(self, data: bytes) -> None:
        stream = await self._stream()
        if stream is not None:
            await stream.write(data)

    async def close_stdin(self) -> None:
        stream = await self._stream()
        if stream is not None:
            await stream.close_stdin()

    async def close(self) -> None:
        self.bind(None)
        stream = await self._stream()
        if stream is not None:
            await stream.close()


class EarlyStreams:
    """Those that wait, by container."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[EarlyStream]] = {}

    def add(self, container_id: str, wanted: Wanted) -> EarlyStream:
        """A stream for a container that does not run yet."""
        stream = EarlyStream(wanted)
        self._waiting.setdefault(container_id, []).append(stream)
        return stream

    async def bind(self, container_id: str, runtime: Runtime) -> None:
        """Attach all who wait. Raises what ``Runtime.attach`` raises; who is not bound then is ended by ``end``."""
        waiting = self._waiting.get(container_id, [])
        while waiting:
            stream, wanted = waiting[0], waiting[0].wanted
            if not stream.settled:
                real = await runtime.attach(
                    container_id, None, stdin=wanted.stdin, stdout=wanted.stdout, stderr=wanted.stderr
                )
                if stream.settled:  # closed meanwhile
                    await real.close()
                stream.bind(real)
            waiting.pop(0)
        self._waiting.pop(container_id, None)

    def end(self, container_id: str) -> None:
        """Nothing will come."""
        for stream in self._waiting.pop(container_id, []):
            stream.bind(None)
