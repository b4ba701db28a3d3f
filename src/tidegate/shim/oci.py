"""Short calls of the OCI runtime: its argument lists, how it is spawned, what its errors mean.

That is ``crun``, or another program with runc's command line, which makes its control groups itself.

The process started by ``run -d`` or ``exec -d`` inherits crun's standard streams, and is handed to the supervisor (a
subreaper) when crun ends. On cgroup v1 the child joins its groups through ``tasks``: a single-threaded writer moved
that way skips the kernel's RCU wait of ``cgroup.procs`` (0.6 ms against 6-14 ms).
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tidegate.base.descriptors import set_descriptor_limit
from tidegate.base.errors import InternalError, InvalidParameterError, TidegateError, UnavailableError
from tidegate.base.parent_death import end_with_parent
from tidegate.shim.sealed_program import SealedProgram

PR_SET_CHILD_SUBREAPER = 36
KILLED = 128 + signal.SIGKILL
_libc = ctypes.CDLL(None, use_errno=True)

# What crun 1.8 (Debian 12) and 1.21 (Debian 13) say of a directory, of a file without its x bit, and where the kernel
# does not take what is written to a file of a control group.
_NOT_A_FILE = ("open executable: operation not permitted", "is not a regular file")
_NOT_EXECUTABLE = "exists but it is not executable"
_REFUSED_LIMIT = ("writing file `", "write file `")


def become_subreaper() -> None:
    """Orphaned descendants become this process's children (prctl(2)). Raises InternalError."""
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise InternalError(f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(ctypes.get_errno())}")


def run_command(program: Sequence[str], scratch: Path, bundle: str, container_id: str, *, tty: bool) -> list[str]:
    """``crun run -d``; ``scratch`` holds the log, the pid file and the console socket."""
    return [
        *(*program, "--log", str(scratch / "log"), "run", "-d"),
        *("--pid-file", str(scratch / "pid"), *_console(scratch, tty=tty), "--bundle", bundle, container_id),
    ]


def exec_command(program: Sequence[str], scratch: Path, container_id: str, *, tty: bool) -> list[str]:
    """``crun exec -d`` of the OCI process in ``scratch/process``."""
    return [
        *(*program, "--log", str(scratch / "log"), "exec", "-d"),
        *("--process", str(scratch / "process"), "--pid-file", str(scratch / "pid"), *_console(scratch, tty=tty)),
        container_id,
    ]


def own_program(root: Path, *, joins: bool) -> list[str]:
    """``crun`` with its state in ``root``; ``joins``: its control groups are made already."""
    return ["crun", "--root", str(root), *(["--cgroup-manager=disabled"] if joins else [])]


def other_program(runtime: Sequence[str], root: Path) -> list[str]:
    """Another runtime with its state in ``root``."""
    return [*runtime, "--root", str(root)]


def _console(scratch: Path, *, tty: bool) -> list[str]:
    return ["--console-socket", str(scratch / "tty")] if tty else []


def spawn(
    program: SealedProgram | None,
    command: Sequence[str],
    stdio: Sequence[int],
    cgroup_join: Sequence[str],
    descriptors: int,
) -> int:
    """Fork and execute ``command`` in the given cgroups with ``stdio`` as descriptors 0-2; returns its pid.

    It dies with its supervisor, who is the only one to know what to do with what it starts. ``program`` is a copy of
    what ``command`` begins with. Raises NotFoundError when that is not installed.
    """
    if program is not None:
        program.refresh()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        end_with_parent(parent, signal.SIGKILL)
        set_descriptor_limit(descriptors)
        for directory in cgroup_join:
            _join(directory)
        high = [os.dup(fd) if fd < 3 else fd for fd in stdio]
        for target, fd in enumerate(high):
            os.dup2(fd, target)
        if program is not None:
            program.execute(command)
        os.execvp(command[0], list(command))  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"spawn: {error}\n")
    finally:
        os._exit(127)  # the child must never return into the supervisor's loop


def _join(directory: str) -> None:
    tasks = f"{directory}/tasks"
    name = tasks if os.access(tasks, os.F_OK) else f"{directory}/cgroup.procs"
    fd = os.open(name, os.O_WRONLY)
    os.write(fd, b"0")
    os.close(fd)


def start_error(log: str, command_name: str, code: int) -> TidegateError:
    """crun's complaint in Docker's wording, from which clients read exit codes 126 and 127."""
    lines = [line for line in log.splitlines() if line.strip()]
    if code == KILLED and not lines:
        return UnavailableError(
            "crun was killed during the start: its memory limit is too small, or the shim was killed"
        )
    reason = _message(lines[-1]) if lines else "the OCI runtime gave no reason"
    lowered = reason.lower()
    prefix = "OCI runtime exec failed" if command_name == "exec" else "failed to create task for container"
    if "executable file" in lowered and "not found" in lowered:
        return InvalidParameterError(f"{prefix}: {_without_errno(reason)}: executable file not found in $PATH")
    if any(words in lowered for words in _NOT_A_FILE):
        return InvalidParameterError(f"{prefix}: open executable: is a directory: permission denied")
    if _NOT_EXECUTABLE in lowered:
        return InvalidParameterError(f"{prefix}: {_without_errno(reason)}: permission denied")
    if any(words in lowered for words in _REFUSED_LIMIT):
        return InvalidParameterError(f"{prefix}: the kernel refuses a limit: {reason}")
    for needle in ("no such file or directory", "permission denied", "is a directory", "exec format error"):
        if needle in lowered:
            return InvalidParameterError(f"{prefix}: {_without_errno(reason)}: {needle}")
    return InternalError(f"{prefix}: {reason}")


def _message(line: str) -> str:
    """What runc says: its log has ``time="..." level=error msg="..."``, quoted as Go and JSON do."""
    _, found, quoted = line.partition(" msg=")
    if not (line.startswith("time=") and found):
        return line
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted


def _without_errno(reason: str) -> str:
    return reason.rsplit(": ", 1)[0]


def oom_kills(cgroup_join: Sequence[str]) -> int:
    """How many processes the kernel killed for want of memory in these cgroups (v1 and v2 files)."""
    for directory in cgroup_join:
        for name in ("memory.oom_control", "memory.events"):
            try:
                lines = (Path(directory) / name).read_text().splitlines()
            except OSError:
                continue  # not the memory controller's directory
            return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return 0
