"""What a process under the gate's filters can still do, asked of the kernel in a fork that has installed one."""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.base.syscall_filter import install_filter
from tidegate.kernel.seccomp.gate_filters import decoy_filter, worker_filter

_PR_SET_NO_NEW_PRIVS = 38
_UNCAUGHT = 251


def errno_under(program: bytes, attempt: Callable[[], object]) -> int:
    """0, or the errno that ``attempt`` failed with, in a process under ``program``."""
    pid = os.fork()
    if pid == 0:
        code = _UNCAUGHT
        try:
            ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            install_filter(program)
            attempt()
            code = 0
        except OSError as error:
            code = error.errno or _UNCAUGHT
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _libc(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def _start_thread() -> None:
    done = threading.Event()
    threading.Thread(target=done.set).start()
    done.wait(10)


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _reconnect() -> None:
    """By AF_UNSPEC a connected socket is made free for another address (connect(2))."""
    _libc("connect", 0, 0, 0)


REFUSED: dict[str, Callable[[], object]] = {
    "open to write": lambda: os.open("/tmp/.tidegate-filter", os.O_WRONLY | os.O_CREAT),
    "open to append": lambda: os.open("/dev/null", os.O_RDONLY | os.O_APPEND),
    "execve": lambda: os.execv("/bin/true", ["true"]),
    "fork": _fork,
    "socket(AF_INET)": lambda: socket.socket(socket.AF_INET),
    "socket(AF_INET6)": lambda: socket.socket(socket.AF_INET6),
    "socket(AF_NETLINK)": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "connect": _reconnect,
    "bind": lambda: _libc("bind", 0, 0, 0),
    "kill": lambda: os.kill(os.getppid(), 0),
    "ptrace": lambda: _libc("ptrace", 16, os.getppid(), 0, 0),
    "mmap(PROT_EXEC)": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "unshare": lambda: _libc("unshare", 0x10000000),
    "prctl": lambda: _libc("prctl", 4, 1, 0, 0, 0),
    "setuid": lambda: os.setuid(0),
    "unlink": lambda: Path("/nowhere").unlink(),
    "chmod": lambda: Path("/nowhere").chmod(0),
    "setrlimit": lambda: resource.prlimit(0, resource.RLIMIT_NOFILE, (64, 64)),
    "ioctl(TIOCSTI)": lambda: fcntl.ioctl(0, 0x5412, b"x"),
}


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED.keys())
def test_what_neither_needs_is_refused_to_both(attempt: Callable[[], object]) -> None:
    assert errno_under(worker_filter(to_log_daemon=False), attempt) == errno.EPERM
    assert errno_under(decoy_filter(to_log_daemon=False), attempt) == errno.EPERM


def test_a_worker_may_read_files_and_the_decoy_may_not() -> None:
    def read() -> None:
        os.close(os.open("/proc/self/comm", os.O_RDONLY))

    assert errno_under(worker_filter(to_log_daemon=False), read) == 0
    assert errno_under(decoy_filter(to_log_daemon=False), read) == errno.EPERM


def test_only_who_audits_to_a_log_daemon_may_connect_to_one() -> None:
    def dial() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect("/nowhere")

    for program in (worker_filter, decoy_filter):
        assert errno_under(program(to_log_daemon=False), dial) == errno.EPERM
        assert errno_under(program(to_log_daemon=True), dial) == errno.ENOENT
        assert errno_under(program(to_log_daemon=True), REFUSED["socket(AF_INET)"]) == errno.EPERM


def test_limits_may_be_asked() -> None:
    assert errno_under(decoy_filter(to_log_daemon=False), lambda: resource.getrlimit(resource.RLIMIT_NOFILE)) == 0


def test_threads_may_be_started() -> None:
    assert errno_under(decoy_filter(to_log_daemon=False), _start_thread) == 0


def test_the_32_bit_calls_of_the_same_kernel_end_the_process() -> None:
    """Their numbers mean other calls; libseccomp kills rather than guesses."""
    if os.uname().machine != "x86_64":
        pytest.skip("only x86_64 has them")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    assert errno_under(worker_filter(to_log_daemon=False), call) == -signal.SIGSYS
