"""glibc's allocator (mallopt(3), malloc_trim(3)): for processes that stay for long and are mostly idle.

A C library without these calls keeps its ways.
"""

import asyncio
import ctypes

_M_ARENA_MAX = -8
_SETTLED_S = 1.0
_PERIOD_S = 60.0


def use_one_arena() -> None:
    """Threads share one arena, here and in what is forked from here.

    Each would get one of its own, whose free memory none of the others can use; under the interpreter's lock they do
    not allocate at the same time anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return whole free pages to the kernel: what a start or a compiled profile needed for a moment. Takes 1 ms."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


async def keep_giving_back() -> None:
    """Soon after a start, and then each minute; for ever."""
    await asyncio.sleep(_SETTLED_S)
    while True:
        give_back()
        await asyncio.sleep(_PERIOD_S)
