"""glibc's allocator (mallopt(3)): for processes that stay for long and are mostly idle."""

import ctypes

_M_ARENA_MAX = -8


def use_one_arena() -> None:
    """Threads share one arena, here and in what is forked from here.

    Each would get one of its own, whose free memory none of the others can use; under the interpreter's lock they do
    not allocate at the same time anyway. A C library without mallopt keeps its ways.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
