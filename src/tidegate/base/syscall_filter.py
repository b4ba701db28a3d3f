"""Putting a seccomp filter on this process, for good: every thread, and everything it will ever become (seccomp(2)).

What the filter may say is ``kernel/seccomp/gate_filters``; this is only how a program made by
somebody else gets into force.
"""

import ctypes
import os
import platform

from tidegate.base.errors import InternalError

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_SECCOMP_SET_MODE_FILTER = 1
_TSYNC, _LOG = 1, 2  # SECCOMP_FILTER_FLAG_*
_INSTRUCTION_BYTES = 8  # struct sock_filter
_SECCOMP_NUMBERS = {"x86_64": 317, "aarch64": 277, "riscv64": 277, "ppc64le": 358, "s390x": 348, "armv7l": 383}


class _Program(ctypes.Structure):
    """``struct sock_fprog`` of linux/filter.h."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install_filter(program: bytes) -> None:
    """``no_new_privs`` must be set. What the filter refuses is in the kernel's log, where the machine's call is known.

    Raises InternalError when the kernel refuses the program.
    """
    library = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))
    parts = _Program(len(program) // _INSTRUCTION_BYTES, ctypes.addressof(code))
    number = _SECCOMP_NUMBERS.get(platform.machine())
    if number is None:
        result = library.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(parts))
    else:
        result = library.syscall(number, _SECCOMP_SET_MODE_FILTER, _TSYNC | _LOG, ctypes.byref(parts))
    if result != 0:
        reason = os.strerror(ctypes.get_errno()) if result < 0 else f"thread {result} has another one"
        raise InternalError(f"the seccomp filter could not be installed: {reason}")
