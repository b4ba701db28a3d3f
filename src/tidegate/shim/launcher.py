"""Calls of the OCI runtime under way: each in its own scratch directory, watched by pidfd, ended with one callback."""

import contextlib
import itertools
import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from tidegate.base.errors import InternalError, TidegateError
from tidegate.shim import oci
from tidegate.shim.exits import start_ticks
from tidegate.shim.process import Process
from tidegate.shim.reaper import Reaper
from tidegate.shim.sealed_program import SealedProgram

Launched = Callable[[int, int | None], None]
"""Called with the pid of the started process and its terminal's master, if it has one."""


class Launcher:
    """Starts processes through crun or another runtime, never waiting for it, and clears up what it leaves."""

    def __init__(self, reaper: Reaper, root: Path, child_descriptors: int) -> None:
        self._reaper = reaper
        self._child_descriptors = child_descriptors
        self._crun_root = root / "crun"
        self._scratch_root = root / "r"
        _remove_tree(str(self._scratch_root))
        self._scratch_root.mkdir(mode=0o700)
        self._others_root = root / "runtimes"
        for directory in (self._crun_root, self._others_root):
            directory.mkdir(exist_ok=True, mode=0o700)
        self._crun = SealedProgram("crun")
        self._numbers = itertools.count(1)
        self.under_way: set[int] = set()

    def launch(self, process: Process, on_start: Launched, on_error: Callable[[TidegateError], None]) -> None:
        """Start it; exactly one of the callbacks follows. Raises OSError when nothing could be forked."""
        streams = process.streams
        if streams is None:
            raise InternalError("the process has no streams")
        scratch = self._scratch_root / str(next(self._numbers))
        scratch.mkdir(mode=0o700)
        name, program = process.container_id, self._program(process)
        kind = "run" if process.exec_id is None else "exec"
        if process.exec_id is None:
            command = oci.run_command(program, scratch, process.bundle, name, tty=streams.tty)
        else:
            (scratch / "process").write_text(json.dumps(process.oci_process))
            command = oci.exec_command(program, scratch, name, tty=streams.tty)
        console = _listen(scratch / "tty") if streams.tty else None

        def ended(code: int) -> None:
            try:
                if code == 0:
                    on_start(int((scratch / "pid").read_text()), _receive_master(console))
                else:
                    on_error(oci.start_error(_read(scratch / "log"), kind, code))
            except (OSError, ValueError, InternalError) as error:
                on_error(InternalError(f"crun {kind}: {error}"))
            finally:
                if console is not None:
                    console.close()
                _remove_tree(str(scratch))

        copy = None if process.runtime else self._crun
        descriptors = self._child_descriptors
        self._watch(oci.spawn(copy, command, streams.child_fds, process.cgroup_join, descriptors), ended)

    def _program(self, process: Process) -> list[str]:
        if process.runtime:
            return oci.other_program(process.runtime, self._others_root)
        return oci.own_program(self._crun_root, joins=bool(process.cgroup_join))

    def delete(self, container_id: str, runtime: Sequence[str]) -> None:
        """Forget a container whose processes and control groups are gone: crun has nothing of it but a directory.

        Another runtime may have more, and is asked; nobody waits for it.
        """
        if not runtime:
            _remove_tree(str(self._crun_root / container_id))
            return
        state = self._others_root / container_id
        if not state.exists():
            return
        command = [*oci.other_program(runtime, self._others_root), "delete", "--force", container_id]
        with open(os.devnull, "r+b") as null:  # noqa: PTH123
            stdio = [null.fileno()] * 3
            pid = oci.spawn(None, command, stdio, (), self._child_descriptors)
        self._watch(pid, lambda _code: _remove_tree(str(state)))

    def _watch(self, pid: int, ended: Callable[[int], None]) -> None:
        self.under_way.add(pid)

        def finished(code: int) -> None:
            try:
                ended(code)
            finally:
                self.under_way.discard(pid)

        self._reaper.watch(pid, start_ticks(pid), os.pidfd_open(pid), finished)


def _remove_tree(directory: str) -> None:
    """As far as that goes (shutil would bring every kind of compression with it)."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(directory)):
            if entry.is_dir(follow_symlinks=False):
                _remove_tree(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108
        os.rmdir(directory)  # noqa: PTH106


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)
    listener.setblocking(False)
    return listener


def _receive_master(console: socket.socket | None) -> int | None:
    """The terminal crun sent before it ended; it is in the queue by then."""
    if console is None:
        return None
    connection, _ = console.accept()
    with connection:
        _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
    if not fds:
        raise InternalError("crun sent no terminal")
    os.set_inheritable(fds[0], False)
    return fds[0]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
