"""The supervisor's heart: the operations of the control socket on the processes it holds.

- An exit is recorded on disk, its output drained into the log, and only then reaped and told to subscribers.
- Exits that were not released are repeated to each new subscriber.
- Descendants nobody asked about (the supervisor is a subreaper) are reaped when no start is under way.
- A worker whose keeper was killed forks: the fork serves on, and the parent of the containers becomes the keeper.
"""

import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError, TidegateError
from tidegate.shim import oci
from tidegate.shim.compression import compress_apart
from tidegate.shim.connection import Connection
from tidegate.shim.exits import UNKNOWN_EXIT_CODE, start_ticks
from tidegate.shim.holders import Holders, KeeperGoneError
from tidegate.shim.journal import Journal
from tidegate.shim.json_log import JSONLog, LogFile
from tidegate.shim.keeper import Estate, Ward, close_all_but, show_role
from tidegate.shim.launcher import Launcher
from tidegate.shim.loop import READ, Loop
from tidegate.shim.process import Asked, Process, load_all, save
from tidegate.shim.protocol import number, text
from tidegate.shim.reaper import Reaper
from tidegate.shim.spares import Spares
from tidegate.shim.staging import Tap
from tidegate.shim.streams import StreamKind, Streams


class Worker:
    """One supervisor on ``root``; ``serve`` returns after ``shutdown``, or as the keeper to be (``keeper.Work``)."""

    def __init__(self, estate: Estate, link: socket.socket) -> None:
        oci.become_subreaper()
        show_role("shim")
        self._estate = estate
        self._root = estate.root
        close_all_but(estate.fds() | {link.fileno()})
        self._loop = Loop()
        self._tap = Tap()
        self._records = self._root / "processes"
        self._records.mkdir(exist_ok=True, mode=0o700)
        self._reaper = Reaper(self._loop, self._root)
        self._launcher = Launcher(self._reaper, self._root, estate.options.child_descriptors)
        self._processes: dict[str, Process] = {}
        self._connections: set[Connection] = set()
        self._holders = Holders(self._loop, estate.holders, self._processes, self._keeper_spoke)
        self._watch_children()
        self._adopt_all()
        self._holders.follow_keeper(link, estate.spares.held)
        self._loop.watch(estate.control.fileno(), READ, self._accept)

    def serve(self) -> Ward | None:
        while self._loop.running:
            try:
                self._loop.run()
            except KeeperGoneError:
                ward = self._succeed_keeper()
                if ward is not None:
                    return ward
        return None

    def _accept(self, ready: int) -> None:
        try:
            connection, _ = self._estate.control.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the client gave up meanwhile
        self._connections.add(Connection(self._loop, connection, self._handle, self._connections.discard))

    def _handle(self, connection: Connection, request: dict[str, Any]) -> None:
        operation = {
            "create": self._create,
            "exec_create": self._create,
            "start": self._start,
            "exec_start": self._start,
            "attach": self._attach,
            "signal": self._signal,
            "resize": self._resize,
            "release": self._release,
            "exec_release": self._release,
            "state": self._state,
            "subscribe": self._subscribe,
            "shutdown": self._shutdown,
        }.get(request["op"])
        if operation is None:
            raise InvalidParameterError(f"op: {request['op']} is not known")
        operation(connection, request)

    # ------------------------------------------------------------------------- operations

    def _create(self, connection: Connection, request: dict[str, Any]) -> None:
        container_id = text(request, "container_id")
        exec_id = None
        bundle = ""
        if request["op"] == "exec_create":
            exec_id = text(request, "exec_id")
            owner = self._find(container_id, None)
            bundle, join, runtime = owner.bundle, owner.cgroup_join, owner.runtime
        else:
            bundle, join = text(request, "bundle"), [str(path) for path in request.get("cgroup_join") or []]
            runtime = [str(word) for word in request.get("runtime") or []]
        stdio, log = dict(request.get("stdio") or {}), dict(request.get("log") or {})
        oci_process = dict(request.get("process") or {})
        process = Process(container_id, exec_id, Asked(bundle, oci_process, join, stdio, log, runtime))
        if (known := self._processes.get(process.key)) is not None:
            if known.status != "created":
                raise ConflictError(f"{process.key} exists already")
            self._forget(known)  # asked again, since the worker that was asked first was killed
        self._journal_path(process).unlink(missing_ok=True)
        self._make_streams(process)
        save(self._records, process)
        self._processes[process.key] = process
        connection.answer(request, {})

    def _make_streams(self, process: Process) -> Streams:
        stdio = process.stdio
        is_exec = process.exec_id is not None
        kind = StreamKind(
            tty=bool(stdio.get("tty")),
            open_stdin=bool(stdio.get("open_stdin")),
            stdin_once=is_exec or bool(stdio.get("stdin_once")),  # an exec's stdin has one client, whose end is its end
            stall_limit_s=None if is_exec else self._estate.options.stall_limit_s,
        )
        streams = process.streams = Streams(self._loop, self._tap, self._open_log(process), kind)
        if stdio.get("owner"):
            streams.give_pipes_to(*stdio["owner"])
        if stdio.get("console_size"):
            streams.resize(*stdio["console_size"])
        streams.on_stdin_closed = lambda: self._holders.tell(process.key)
        return streams

    def _open_log(self, process: Process) -> JSONLog | None:
        log = process.log
        if not log:
            return None
        size, files = number(log, "max_size_bytes"), number(log, "max_files")
        attributes, compress = str(log.get("attributes", "")), bool(log.get("compress"))
        file = LogFile(Path(text(log, "path")), size, files, attributes, compress)
        return JSONLog(file, Journal(self._journal_path(process)), _compress)

    def _journal_path(self, process: Process) -> Path:
        return self._root / "journals" / process.key

    def _start(self, connection: Connection, request: dict[str, Any]) -> None:
        process = self._requested(request)
        if process.status != "created":
            raise ConflictError(f"{process.key} is {process.status}")
        process.status = "starting"
        save(self._records, process)

        def started(pid: int, master_fd: int | None) -> None:
            process.status, process.pid, process.started_at_ns = "running", pid, time.time_ns()
            if process.streams is not None:
                process.streams.begin(master_fd)
            self._watch_process(process, start_ticks(pid) or self._reaper.records.ticks(pid))
            connection.answer(request, {"pid": pid})
            if process.unwanted:
                self._forget(process)

        def failed(error: TidegateError) -> None:
            process.status = "failed"
            if process.streams is not None:
                process.streams.discard()
            connection.refuse(request, error)
            if process.unwanted:
                self._forget(process)

        try:
            self._launcher.launch(process, started, failed)
        except (OSError, TidegateError):
            process.status = "failed"
            raise

    def _attach(self, connection: Connection, request: dict[str, Any]) -> None:
        process = self._requested(request)
        streams = process.streams
        if streams is None:
            raise ConflictError(f"the streams of {process.key} are gone")
        connection.answer(request, {})
        if connection.closed:
            return
        sock, early = connection.detach_socket()
        takes = {name for name in ("stdout", "stderr") if request.get(name)}
        streams.attach(sock, takes, gives=bool(request.get("stdin")), early=early)

    def _signal(self, connection: Connection, request: dict[str, Any]) -> None:
        process = self._requested(request)
        if process.pidfd < 0:
            raise NotFoundError(f"no running process: {process.key}")
        try:
            signal.pidfd_send_signal(process.pidfd, number(request, "signal"))
        except ProcessLookupError as error:
            raise NotFoundError(f"no running process: {process.key}") from error
        connection.answer(request, {})

    def _resize(self, connection: Connection, request: dict[str, Any]) -> None:
        process = self._requested(request)
        if process.streams is not None:
            process.streams.resize(number(request, "height"), number(request, "width"))
        connection.answer(request, {})

    def _release(self, connection: Connection, request: dict[str, Any]) -> None:
        process = self._requested(request)
        if process.status == "starting" and process.exec_id is None:
            raise ConflictError(f"{process.key} is starting")
        if process.exec_id is not None:
            process.unwanted = True
            if process.status != "starting":  # else the runtime is at it, and its process would be nobody's
                self._forget(process)
            connection.answer(request, {})
            return

        self._launcher.delete(process.container_id, process.runtime)
        for member in [p for p in self._processes.values() if p.container_id == process.container_id]:
            self._forget(member)
        connection.answer(request, {})

    def _state(self, connection: Connection, request: dict[str, Any]) -> None:
        connection.answer(request, {"processes": [process.entry() for process in self._processes.values()]})

    def _subscribe(self, connection: Connection, request: dict[str, Any]) -> None:
        connection.subscribed = True
        connection.answer(request, {})
        for process in self._processes.values():
            if process.exit is not None:
                connection.send(process.event())

    def _shutdown(self, connection: Connection, request: dict[str, Any]) -> None:
        busy = [process.key for process in self._processes.values() if process.status in ("starting", "running")]
        if busy:
            raise ConflictError(f"processes are running: {', '.join(busy)}")
        connection.answer(request, {})
        self._loop.running = False

    # ------------------------------------------------------------------------- processes

    def _find(self, container_id: str, exec_id: str | None) -> Process:
        key = container_id if exec_id is None else f"{container_id}.{exec_id}"
        process = self._processes.get(key)
        if process is None:
            raise NotFoundError(f"no such process: {key}")
        return process

    def _requested(self, request: dict[str, Any]) -> Process:
        return self._find(text(request, "container_id"), request.get("exec_id"))

    def _adopt_all(self) -> None:
        """Go on with what an earlier worker recorded; spares of anything that does not run are let go."""
        held = dict(self._estate.spares.held)
        for process in load_all(self._records):
            self._processes[process.key] = process
            if process.status == "running":
                self._adopt_running(process, dict(held.pop(process.key, {})))
            elif process.status == "created":
                self._make_streams(process)
            elif process.status == "starting":  # cut short; its release is owed
                process.status = "failed"
        for fd in {fd for named in held.values() for fd in named.values()}:
            os.close(fd)
        self._reaper.note_foreign()
        self._reaper.drop_records()

    def _adopt_running(self, process: Process, held: dict[str, int]) -> None:
        process.pidfd = held.pop("pidfd", -1)
        if held:
            self._make_streams(process).restore(held)
        self._watch_process(process, process.start_ticks)

    def _watch_process(self, process: Process, ticks: int) -> None:
        """Have its end told; one that has ended and was reaped by another has its exit now.

        Copies of its descriptors are held before it is on record as running: else a kill in between left it without.
        """
        process.start_ticks = ticks
        if process.pidfd < 0 and ticks and start_ticks(process.pid) == ticks:
            with contextlib.suppress(ProcessLookupError):  # the keeper has just reaped it, and written it down
                process.pidfd = os.pidfd_open(process.pid)
        self._holders.tell(process.key)
        save(self._records, process)
        if process.pidfd < 0:
            code = self._reaper.records.read(process.pid, ticks)
            self._exited(process, UNKNOWN_EXIT_CODE if code is None else code)
            self._reaper.records.forget(process.pid, ticks)
            return
        self._reaper.watch(process.pid, ticks, process.pidfd, lambda code: self._exited(process, code))

    def _exited(self, process: Process, code: int) -> None:
        killed = process.exec_id is None and oci.oom_kills(process.cgroup_join) > 0
        process.exit = {"exit_code": code, "finished_at_ns": time.time_ns(), "oom_killed": killed}
        process.status = "exited"
        process.pidfd = -1
        if process.streams is not None:
            process.streams.finish()
        self._holders.tell(process.key)
        save(self._records, process)
        for connection in list(self._connections):
            if connection.subscribed:
                connection.send(process.event())

    def _forget(self, process: Process) -> None:
        if process.pidfd >= 0:
            _kill(process.pidfd)
            self._reaper.forget(process.pidfd)
            process.pidfd = -1
        if process.streams is not None:
            process.streams.finish()
        self._journal_path(process).unlink(missing_ok=True)
        (self._records / f"{process.key}.json").unlink(missing_ok=True)
        self._processes.pop(process.key, None)
        self._holders.tell(process.key)

    # ------------------------------------------------------------------------- the keeper

    def _keeper_spoke(self) -> None:
        self._reaper.look_again()
        if not self._launcher.under_way:
            self._reaper.drop_records()

    def _succeed_keeper(self) -> Ward | None:
        """Fork; None in the fork, which serves on with every connection. Raises nothing: without a fork, it serves."""
        held = {key: fds for key, process in self._processes.items() if (fds := process.held_fds())}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError as error:
            sys.stderr.write(f"tidegate shim: no new keeper: {error}\n")
            ours.close()
            theirs.close()
            return None
        if pid == 0:
            ours.close()
            oci.become_subreaper()
            self._reaper.note_foreign()
            self._holders.follow_keeper(theirs, held)
            self._reaper.look_again()
            return None
        signal.set_wakeup_fd(-1)
        estate = self._estate._replace(spares=Spares(held))
        close_all_but(estate.fds() | {ours.fileno()})
        return Ward(pid, ours, estate, past=self)

    def _watch_children(self) -> None:
        read_end, write_end = socket.socketpair()
        read_end.setblocking(False)
        write_end.setblocking(False)
        self._wakeup = (read_end, write_end)
        signal.set_wakeup_fd(write_end.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._loop.watch(read_end.fileno(), READ, self._child_signalled)

    def _child_signalled(self, ready: int) -> None:
        """With a start under way an unknown zombie may be the very process it starts: then it is not reaped."""
        self._wakeup[0].recv(4096)
        self._reaper.look_again()
        if not self._launcher.under_way:
            self._reaper.reap_orphans()
        self._holders.require_keeper()


def _compress(path: Path) -> None:
    def begin() -> None:
        show_role("gzip")
        signal.set_wakeup_fd(-1)
        close_all_but(set())

    compress_apart(path, begin)


def _kill(pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return  # gone already
