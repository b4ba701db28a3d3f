"""Attach, logs, exec: everything that carries a process's streams."""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import NamedTuple
from urllib.parse import quote_plus

import msgspec

from tidegate.api.handlers.responses import json_response, no_content
from tidegate.api.pipeline import Call, Handler
from tidegate.api.streams import DetachFilter, EndedStream, Open, Reframed, parse_detach_keys, process_hijack
from tidegate.api.versions.answers import shown_to
from tidegate.api.versions.requests import as_newest
from tidegate.api.websocket import check_handshake, websocket_hijack
from tidegate.base.errors import InternalError, InvalidParameterError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.execs import ExecPhase, ExecService
from tidegate.engine.logs import LogService
from tidegate.engine.ports import AttachStream, Clock, LogRecord, LogRequest, Render
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Response
from tidegate.model.container import Container
from tidegate.spec.codec import decode, encode
from tidegate.spec.container import ExecCreateRequest, ExecStartRequest
from tidegate.spec.frames import Stream, encode_frame
from tidegate.spec.stored import stored_request
from tidegate.spec.timestamps import format_time, parse_optional_time

_STREAMS = {"stdout": Stream.STDOUT, "stderr": Stream.STDERR}


class _Attachment(NamedTuple):
    """A client's view of a container; ``before`` is recorded output."""

    open: Open
    tty: bool
    keys: DetachFilter | None
    before: AsyncIterator[bytes] | None


class StreamHandlers(msgspec.Struct, frozen=True):
    """On the three services that have streams."""

    containers: ContainerService
    execs: ExecService
    logs: LogService
    clock: Clock

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {
            "ContainerAttach": self.attach,
            "ContainerAttachWebsocket": self.attach_websocket,
            "ContainerLogs": self.read_logs,
            "ContainerResize": self.resize,
            "ContainerExec": self.create_exec,
            "ExecStart": self.start_exec,
            "ExecResize": self.resize_exec,
            "ExecInspect": self.inspect_exec,
        }

    async def attach(self, call: Call) -> Response | Hijack:
        """POST /containers/{id}/attach."""
        wanted = await self._attach(call, framed=True)
        return process_hijack(call, wanted.open, tty=wanted.tty, detach=wanted.keys, before=wanted.before)

    async def attach_websocket(self, call: Call) -> Response | Hijack:
        """GET /containers/{id}/attach/ws."""
        check_handshake(call.request.headers)
        wanted = await self._attach(call, framed=False)
        return websocket_hijack(call, wanted.open, detach=wanted.keys, before=wanted.before)

    async def _attach(self, call: Call, *, framed: bool) -> "_Attachment":
        container = self.containers.resolve(call.parameters["id"])
        document = stored_request(container.document)
        all_of_them = not framed and call.profile.websockets_have_all_streams
        stdin, stdout, stderr = (all_of_them or call.query.flag(name) for name in ("stdin", "stdout", "stderr"))
        keys = None
        if stdin and document.tty:
            told = partial(self.containers.publish, container.id, "detach", {})
            keys = DetachFilter(parse_detach_keys(call.query.text("detachKeys")), told)
        before = None
        if call.query.flag("logs"):
            render = render_for(container, False, framed=framed)
            before = self.logs.read(container.id, LogRequest(stdout, stderr), render)
        stream: AttachStream = EndedStream()
        if call.query.flag("stream"):
            stream = await self.containers.attach(
                container.id, stdin=stdin and document.open_stdin, stdout=stdout, stderr=stderr
            )
        if not framed and not document.tty:
            stream = Reframed(stream, framed=False)

        async def attached() -> AttachStream:
            return stream

        return _Attachment(attached, document.tty, keys, before)

    async def read_logs(self, call: Call) -> Response:
        """GET /containers/{id}/logs."""
        container = self.containers.resolve(call.parameters["id"])
        query = call.query
        if not (query.flag("stdout") or query.flag("stderr")):
            raise InvalidParameterError("Bad parameters: you must choose at least one stream")
        request = LogRequest(
            stdout=query.flag("stdout"),
            stderr=query.flag("stderr"),
            since=_log_time(query.text("since"), self.clock()),
            until=_log_time(query.text("until"), self.clock()),
            tail=_tail(query.text("tail")),
            follow=query.flag("follow"),
        )
        render = render_for(container, query.flag("timestamps"), details=query.flag("details"))
        records = self.logs.read(container.id, request, render)
        tty = stored_request(container.document).tty
        kind = "multiplexed-stream" if not tty and call.profile.multiplexed_content_type else "raw-stream"
        return Response(200, (("Content-Type", f"application/vnd.docker.{kind}"),), records)

    async def resize(self, call: Call) -> Response:
        """POST /containers/{id}/resize."""
        await self.containers.resize(call.parameters["id"], *_size(call))
        return no_content(200)

    async def create_exec(self, call: Call) -> Response:
        """POST /containers/{id}/exec."""
        document = as_newest(call.profile, decode(ExecCreateRequest, await call.document_bytes()))
        return json_response({"Id": self.execs.create(call.parameters["id"], encode(document))}, 201)

    async def start_exec(self, call: Call) -> Response | Hijack:
        """POST /exec/{id}/start."""
        start = decode(ExecStartRequest, await call.document_bytes() or b"{}")
        wanted = self.execs.inspect(call.parameters["id"])
        document = decode(ExecCreateRequest, wanted.document)
        self.execs.prepare_start(wanted.id, start.console_size if call.profile.sizes_consoles_at_start else None)
        if start.detach:
            await self.execs.start(wanted.id, detach=True)
            return no_content(200)

        async def started() -> AttachStream:
            stream = await self.execs.start(
                wanted.id,
                stdin=document.attach_stdin,
                stdout=document.attach_stdout,
                stderr=document.attach_stderr,
            )
            if stream is None:
                raise InternalError("an exec that is not detached has no streams")
            return stream if start.tty == document.tty else Reframed(stream, framed=document.tty)

        keys = None
        if document.tty:
            told = partial(self.execs.detached, wanted.id)
            keys = DetachFilter(parse_detach_keys(document.detach_keys), told)
        return process_hijack(call, started, tty=start.tty, detach=keys)

    async def resize_exec(self, call: Call) -> Response:
        """POST /exec/{id}/resize."""
        await self.execs.resize(call.parameters["id"], *_size(call))
        return no_content(200)

    async def inspect_exec(self, call: Call) -> Response:
        """GET /exec/{id}/json."""
        found = self.execs.inspect(call.parameters["id"])
        document = decode(ExecCreateRequest, found.document)
        shown = {
            "ID": found.id,
            "Running": found.phase is ExecPhase.RUNNING,
            "ExitCode": found.exit_code,
            "ProcessConfig": {
                "tty": document.tty,
                "entrypoint": document.cmd[0],
                "arguments": document.cmd[1:],
                "privileged": document.privileged,
                "user": document.user,
            },
            "OpenStdin": document.attach_stdin,
            "OpenStderr": document.attach_stderr,
            "OpenStdout": document.attach_stdout,
            "CanRemove": found.phase is ExecPhase.EXITED,
            "ContainerID": found.process.container_id,
            "DetachKeys": document.detach_keys,
            "Pid": found.pid,
        }
        return json_response(shown_to(call.profile, "ExecInspectResponse", shown))


def render_for(container: Container, timestamps: bool, *, details: bool = False, framed: bool = True) -> Render:
    """A log record as the client gets it: framed, or raw with a TTY and where frames are not wanted."""
    raw = not framed or stored_request(container.document).tty

    def render(record: LogRecord) -> bytes:
        text = f"{_details(record)} {record.log}" if details else record.log
        text = f"{record.time} {text}" if timestamps else text
        return text.encode() if raw else encode_frame(_STREAMS[record.stream], text.encode())

    return render


def _details(record: LogRecord) -> str:
    """The record's attributes, in order and escaped as in a query string."""
    return ",".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sorted((record.attrs or {}).items()))


def _log_time(text: str, now_ns: int) -> str:
    """As a log's records have it, with all nine digits, so that texts compare."""
    moment = parse_optional_time(text, now_ns)
    return "" if moment is None else format_time(moment, fixed=True)


def _tail(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _size(call: Call) -> tuple[int, int]:
    height, width = call.query.integer("h"), call.query.integer("w")
    if height is None or width is None or not (0 <= height < 65536 and 0 <= width < 65536):
        raise InvalidParameterError("h and w must be numbers from 0 to 65535")
    return height, width
