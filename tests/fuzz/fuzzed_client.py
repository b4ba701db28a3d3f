"""A client that asks what it is given, does not wait for streams to end, and judges every answer."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote

from tests.api import specification
from tests.api.fake_engine import Answer, parse
from tests.fuzz.specified_requests import FuzzedRequest

from tidegate.spec.catalogue import operation

PATIENCE_S = 30.0
JSON = "Content-Type: application/json"
QUIET_S = 0.05
"""A stream that is silent for so long is left alone."""


class FuzzedClient:
    """On a unix socket; keeps the ids of execs and containers that it was told of."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.ids = {"exec": "0" * 64, "image": "busybox"}

    async def ask(self, request: FuzzedRequest) -> Answer | None:
        """The answer, as far as it has come; None when the connection ended without one."""
        target = request.target
        for name, value in self.ids.items():
            target = target.replace(quote(f"{{{name}}}", safe=""), value)
        lines = [f"{request.operation.method} {target} HTTP/1.1", "Host: docker", *request.headers]
        lines += [f"Content-Length: {len(request.body)}"]
        if not any(line.startswith("Connection:") for line in request.headers):
            lines.append("Connection: close")
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            with suppress(ConnectionError):
                writer.write("\r\n".join([*lines, "", ""]).encode() + request.body)
                writer.write_eof()
            raw = await _read(reader)
        finally:
            writer.close()
        answer = _parsed(raw)
        if answer is not None and answer.status == 201 and request.operation.operation_id == "ContainerExec":
            self.ids["exec"] = answer.document["Id"]
        return answer

    async def begin(self) -> None:
        """Something to ask about: two running containers, an exec, a volume."""
        await self.ask(_plain("VolumeCreate", "/volumes/create", {"Name": "named"}))
        for name in ("web", "other"):
            document = {"Image": "busybox", "Cmd": ["sleep", "60"], "HostConfig": {"Binds": ["named:/data"]}}
            await self.ask(_plain("ContainerCreate", f"/containers/create?name={name}", document))
            await self.ask(_plain("ContainerStart", f"/containers/{name}/start"))
        await self.ask(_plain("ContainerExec", "/containers/web/exec", {"Cmd": ["true"], "AttachStdout": True}))

    async def remove_all(self) -> None:
        """Every container, however it is."""
        listed = await self.ask(_plain("ContainerList", "/containers/json?all=1"))
        for row in listed.document if listed else ():
            await self.ask(_plain("ContainerDelete", f"/containers/{row['Id']}?force=1&v=1"))


def _plain(operation_id: str, target: str, document: object = None) -> FuzzedRequest:
    if document is None:
        return FuzzedRequest(operation(operation_id), target, b"", ())
    return FuzzedRequest(operation(operation_id), target, json.dumps(document).encode(), (JSON,))


async def _read(reader: asyncio.StreamReader) -> bytes:
    """The whole head, then what comes of a body without a long silence."""
    raw = b""
    with suppress(TimeoutError, ConnectionError):
        while piece := await asyncio.wait_for(reader.read(1 << 20), QUIET_S if b"\r\n\r\n" in raw else PATIENCE_S):
            raw += piece
    return raw


def _parsed(raw: bytes) -> Answer | None:
    if b"\r\n\r\n" not in raw:
        return None
    with suppress(ValueError):  # a chunk that was not waited for
        return parse(raw)
    head = raw.partition(b"\r\n\r\n")[0]
    return replace(parse(head.replace(b"chunked", b"cut") + b"\r\n\r\n"), body=b"")


async def conversation_problems(client: FuzzedClient, asked: Sequence[FuzzedRequest]) -> list[str]:
    """What is wrong with the answers, each with the request that it was given to."""
    found = []
    for request in asked:
        answer = await client.ask(request)
        if answer is None:
            found.append(f"no answer: {request}")
        else:
            found += [f"{problem}: {request}" for problem in _problems(request, answer)]
    return found


def _problems(request: FuzzedRequest, answer: Answer) -> Iterator[str]:
    if answer.status >= 500 and answer.status not in (501, 503):
        yield f"{answer.status} {answer.body[:300]!r}"
    if answer.status >= 400:
        if request.operation.method != "HEAD" and not isinstance(answer.document.get("message"), str):
            yield f"no message: {answer.body[:300]!r}"
        return
    path = request.target
    if (path.startswith(f"/v{specification.NEWEST}/") or not path.startswith("/v1.")) and answer.body:
        yield from _wrong_documents(request, answer)


def _wrong_documents(request: FuzzedRequest, answer: Answer) -> Iterator[str]:
    if "json" not in answer.headers.get("content-type", ""):
        return
    for line in answer.body.decode().splitlines():
        text = line.strip("\x1e\r ")
        if text:
            try:
                document = json.loads(text)
            except ValueError:  # a stream, cut where it was left
                return
            yield from specification.problems(
                specification.NEWEST, request.operation.operation_id, answer.status, document
            )
