"""The seccomp filters of the processes that strangers talk to: which system calls gate workers and the decoy may make.

A filter is an allow-list in the form of Docker's profiles, compiled by ``kernel/seccomp/compiler``; whoever forks the
processes compiles it once, as root, and hands the program over (``base/syscall_filter`` installs it). ADR 10 tells the
why.

- What is not named fails with EPERM, and the kernel logs it; the name of a newer call is left out by older libraries.
- No call that starts a program, reaches another process, makes a socket to elsewhere, or maps code.
- ``clone3`` is ENOSYS: its flags are behind a pointer, and C libraries then fall back to ``clone``, which may make
  threads only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.kernel.seccomp.compiler import Host, compile_profile, plan_rules

_ALLOW = "SCMP_ACT_ALLOW"
_INT = 0xFFFFFFFF  # arguments of type int: the upper half of the register means nothing
_AF_UNIX = 1
_PROT_EXEC = 0x4
_CLONE_THREAD = 0x00010000
_ENOSYS = 38
_WRITING = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20000000  # O_ACCMODE, O_CREAT, O_TRUNC, O_APPEND, __O_TMPFILE
_REQUESTS = (0x5401, 0x5411, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCOUTQ FIONREAD FIONBIO FIONCLEX FIOCLEX

_DESCRIPTORS = ("close", "dup", "fcntl", "fcntl64", "fstat", "fstat64", "fstatat64", "newfstatat", "statx")
_BYTES = ("_llseek", "fdatasync", "fsync", "lseek", "pread64", "pwrite64", "read", "readv", "write", "writev")
_SOCKETS = (
    "accept",
    "accept4",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recv",
    "recvfrom",
    "recvmsg",
    "send",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
)
_WAITING = (
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd2",
    "futex",
    "futex_time64",
    "nanosleep",
    "pipe2",
    "poll",
    "ppoll",
    "ppoll_time64",
    "pselect6",
    "select",
)
_MEMORY = ("brk", "madvise", "mremap", "munmap")
_ITSELF = (
    "clock_getres",
    "clock_gettime",
    "clock_gettime64",
    "exit",
    "exit_group",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getppid",
    "getrandom",
    "getrusage",
    "gettid",
    "gettimeofday",
    "getuid",
    "membarrier",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "sigaltstack",
    "sysinfo",
    "time",
    "uname",
)


def worker_filter(to_log_daemon: bool) -> bytes:
    """For a gate worker; ``to_log_daemon`` when its audit goes to journald or syslog, which it reconnects to.

    It may open files to read: OpenSSL takes a certificate by a path only (``http/tls_context``).
    Raises NotSupportedError without libseccomp, InternalError when that refuses.
    """
    return _compile([*_common(), *_reading(), *(_reaching_log_daemon() if to_log_daemon else ())])


def decoy_filter(to_log_daemon: bool) -> bytes:
    """For the decoy, which opens nothing at all; otherwise as ``worker_filter``."""
    return _compile([*_common(), *(_reaching_log_daemon() if to_log_daemon else ())])


def _common() -> Sequence[Mapping[str, Any]]:
    return (
        _allow(*_DESCRIPTORS, *_BYTES, *_SOCKETS, *_WAITING, *_MEMORY, *_ITSELF),
        _allow("prlimit64", args=[{"index": 2, "op": "SCMP_CMP_EQ", "value": 0}]),  # asks, sets nothing
        _allow("socketpair", args=[_masked(0, _INT, _AF_UNIX)]),
        _allow("mmap", "mmap2", "mprotect", args=[_masked(2, _PROT_EXEC, 0)]),
        _allow("clone", args=[_masked(0, _CLONE_THREAD, _CLONE_THREAD)], excludes={"arches": ["s390x"]}),
        _allow("clone", args=[_masked(1, _CLONE_THREAD, _CLONE_THREAD)], includes={"arches": ["s390x"]}),
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
        *(_allow("ioctl", args=[_masked(1, _INT, request)]) for request in _REQUESTS),
    )


def _reading() -> Sequence[Mapping[str, Any]]:
    return (_allow("memfd_create"), _allow("openat", args=[_masked(2, _WRITING, 0)]))


def _reaching_log_daemon() -> Sequence[Mapping[str, Any]]:
    return (_allow("socket", args=[_masked(0, _INT, _AF_UNIX)]), _allow("connect"))


def _allow(*names: str, **conditions: object) -> Mapping[str, Any]:
    return {"names": list(names), "action": _ALLOW, **conditions}


def _masked(index: int, mask: int, value: int) -> Mapping[str, Any]:
    return {"index": index, "op": "SCMP_CMP_MASKED_EQ", "value": mask, "valueTwo": value}


def _compile(entries: Sequence[Mapping[str, Any]]) -> bytes:
    host = Host.current()
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": entries}
    return compile_profile(profile, plan_rules(profile, frozenset(), host), host)
