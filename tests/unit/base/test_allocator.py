"""Threads of a process that stays share one arena (seen in /proc/self/maps: each other one reserves 64 MiB)."""

import asyncio
import subprocess
import sys

import pytest

from tidegate.base.allocator import keep_giving_back

PROGRAM = """
import sys, threading
from pathlib import Path
from tidegate.base.allocator import use_one_arena
if sys.argv[1] == "one":
    use_one_arena()
go = threading.Barrier(5)
def allocate():
    kept = [bytes(1000 + n) for n in range(100)]
    go.wait()
    go.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for each in threads:
    each.start()
go.wait()
def size(line):
    begin, end = (int(part, 16) for part in line.split()[0].split("-"))
    return end - begin
print(sum("---p" in line and size(line) > 32 << 20 for line in Path("/proc/self/maps").read_text().splitlines()))
go.wait()
"""


@pytest.mark.parametrize(("wanted", "few"), [("one", True), ("many", False)])
def test_threads_make_no_arenas(wanted: str, few: bool) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, wanted], capture_output=True, text=True, check=True)
    assert (int(done.stdout) == 0) == few


def test_free_memory_goes_back_soon_and_then_each_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for it owns the task; here the pauses are seen, and the third ends it."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keep_giving_back())
    assert pauses == [1.0, 60.0, 60.0]
