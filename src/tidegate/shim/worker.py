"""The supervisor's heart: the operations of the control socket on the processes it holds.

- An exit is recorded on disk, its output drained into the log, and only then reaped and told to subscribers.
- Exits that were not released are repeated to each new subscriber.
- Descendants nobody asked about (the supervisor is a subreaper) are reaped when no start is under way.
"""

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError, TidegateError
from tidegate.shim import oci
from tidegate.shim.connection import Connection
from tidegate.shim.journal import Journal
from tidegate.shim.json_log import JSONLog
from tidegate.shim.keeper import KeeperLink, Kept, recorded_exit
from tidegate.shim.launcher import Launcher
from tidegate.shim.loop import READ, Loop
from tidegate.shim.process import Process, load_all, save, start_ticks
from tidegate.shim.protocol import number, text
from tidegate.shim.staging import Tap
from tidegate.shim.streams import Streams

UNKNOWN_EXIT_CODE = 255  # of a process whose parent was not this supervisor


class Worker:
    """One supervisor on ``root``; ``serve`` returns after ``shutdown``."""

    def __init__(self, root: Path, link: KeeperLink, listener: socket.socket, kept: Kept) -> None:
        self._loop = Loop()
        self._tap = Tap()
        self._root = root
        self._link = link
        self._loop.watch(link.fd, READ, self._keeper_spoke)
        oci.become_subreaper()
        self._records = root / "processes"
        self._records.mkdir(exist_ok=True, mode=0o700)
        self._launcher = Launcher(self._loop, root)
        self._processes: dict[str, Process] = {}
        self._connections: set[Connection] = set()
        self._foreign: set[int] = set()
        self._keeper_lives = True
        self._watch_children()
        for process in load_all(self._records):
            self._adopt(process, kept.get(process.key))
        self._listener = listener
        self._loop.watch(listener.fileno(), READ, self._accept)

    def serve(self) -> None:
        self._loop.run()

    def _accept(self, ready: int) -> None:
        try:
            connection, _ = self._listener.accept()
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
            bundle, join = owner.bundle, owner.cgroup_join
        else:
            bundle, join = text(request, "bundle"), [str(path) for path in request.get("cgroup_join") or []]
        stdio, log = dict(request.get("stdio") or {}), dict(request.get("log") or {})
        oci_process = dict(request.get("process") or {})
        process = Process(container_id, exec_id, bundle, oci_process, join, None, stdio=stdio, log=log)
        if process.key in self._processes:
            raise ConflictError(f"{process.key} exists already")
        self._journal_path(process).unlink(missing_ok=True)
        self._make_streams(process)
        save(self._records, process)
        self._processes[process.key] = process
        connection.answer(request, {})

    def _make_streams(self, process: Process) -> Streams:
        stdio = process.stdio
        streams = process.streams = Streams(
            self._loop,
            self._tap,
            self._open_log(process),
            tty=bool(stdio.get("tty")),
            open_stdin=bool(stdio.get("open_stdin")),
            # an exec's stdin has one client, whose end is its end
            stdin_once=process.exec_id is not None or bool(stdio.get("stdin_once")),
        )
        if stdio.get("console_size"):
            streams.resize(*stdio["console_size"])
        streams.on_stdin_closed = lambda: self._link.drop(process.key, "stdin")
        return streams

    def _open_log(self, process: Process) -> JSONLog | None:
        log = process.log
        if not log or log.get("driver") != "json-file":
            return None
        path, size, files = Path(text(log, "path")), number(log, "max_size_bytes"), number(log, "max_files")
        return JSONLog(path, size, files, Journal(self._journal_path(process)))

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
            process.start_ticks = start_ticks(pid)
            process.pidfd = os.pidfd_open(pid)
            if process.streams is not None:
                process.streams.begin(master_fd)
                self._link.keep(process.key, process.streams.held_fds())
            save(self._records, process)
            self._watch_exit(process)
            connection.answer(request, {"pid": pid})

        def failed(error: TidegateError) -> None:
            process.status = "failed"
            if process.streams is not None:
                process.streams.discard()
            connection.refuse(request, error)

        try:
            self._launcher.launch(process, started, failed)
        except OSError:
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
        if process.status == "starting":
            raise ConflictError(f"{process.key} is starting")
        if process.exec_id is not None:
            self._forget(process)
            connection.answer(request, {})
            return

        self._launcher.delete(process.container_id)
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

    def _adopt(self, process: Process, held: dict[str, int] | None) -> None:
        """Go on with what an earlier worker recorded; a start cut short has failed, and its release is owed."""
        self._processes[process.key] = process
        if process.status == "starting":
            process.status = "failed"
        elif process.status == "created":
            self._make_streams(process)
        elif process.status == "running":
            if held:
                self._make_streams(process).restore(held)
            if process.pidfd >= 0:
                self._watch_exit(process)
            else:
                code = recorded_exit(self._root, process.pid, process.start_ticks)
                self._exited(process, UNKNOWN_EXIT_CODE if code is None else code)

    def _keeper_spoke(self, ready: int) -> None:
        if not self._link.receive():
            self._loop.forget(self._link.fd)
            self._keeper_lives = False
        self._reap_foreign()

    def _reap_foreign(self) -> None:
        for process in [p for p in self._processes.values() if p.pidfd in self._foreign]:
            self._reap(process)

    def _watch_exit(self, process: Process) -> None:
        self._loop.watch(process.pidfd, READ, lambda _: self._reap(process))

    def _reap(self, process: Process) -> None:
        self._foreign.discard(process.pidfd)
        try:
            info = os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # the keeper's child since an earlier worker died, or still that of a crun
            code = recorded_exit(self._root, process.pid, process.start_ticks)
            if code is None and self._keeper_lives:
                self._loop.forget(process.pidfd)
                self._foreign.add(process.pidfd)
                return  # the keeper speaks when it has written it down; a crun that ends makes it ours, with a signal
            self._exited(process, UNKNOWN_EXIT_CODE if code is None else code)
        else:
            if info is None:
                self._watch_exit(process)
                return
            self._exited(process, info.si_status if info.si_code == os.CLD_EXITED else 128 + info.si_status)
            os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOHANG)
        self._close_pidfd(process)
        self._reap_orphans()

    def _exited(self, process: Process, code: int) -> None:
        killed = process.exec_id is None and oci.oom_kills(process.cgroup_join) > 0
        process.exit = {"exit_code": code, "finished_at_ns": time.time_ns(), "oom_killed": killed}
        process.status = "exited"
        if process.streams is not None:
            process.streams.finish()
        self._link.drop(process.key)
        save(self._records, process)
        for connection in list(self._connections):
            if connection.subscribed:
                connection.send(process.event())

    def _forget(self, process: Process) -> None:
        if process.pidfd >= 0:
            _kill(process.pidfd)
            self._close_pidfd(process)
        if process.streams is not None:
            process.streams.finish()
        self._link.drop(process.key)
        (self._root / "exits" / f"{process.pid}-{process.start_ticks}").unlink(missing_ok=True)
        self._journal_path(process).unlink(missing_ok=True)
        (self._records / f"{process.key}.json").unlink(missing_ok=True)
        self._processes.pop(process.key, None)

    def _close_pidfd(self, process: Process) -> None:
        self._foreign.discard(process.pidfd)
        self._loop.forget(process.pidfd)
        os.close(process.pidfd)
        process.pidfd = -1

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
        self._wakeup[0].recv(4096)
        self._reap_foreign()
        self._reap_orphans()

    def _reap_orphans(self) -> None:
        """With a start under way an unknown zombie may be the very process it starts: then wait."""
        known = {process.pid for process in self._processes.values() if process.pidfd >= 0}
        while not self._launcher.under_way:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None or info.si_pid in known:
                return  # a known one has its own watch, and looks for orphans after it
            os.waitid(os.P_PID, info.si_pid, os.WEXITED | os.WNOHANG)


def _kill(pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return  # gone already
