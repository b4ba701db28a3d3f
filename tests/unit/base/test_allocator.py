"""Threads of a process that stays share one arena (seen in /proc/self/maps: each other one reserves 64 MiB)."""

import subprocess
import sys

import pytest

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
