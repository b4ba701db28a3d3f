"""``python -m bench``: measure, print, write docs/benchmarks.md."""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from bench.cases import CASES, IMAGE, NONE, RUNNING, memory_per_container, prepare
from bench.debian_packages import unpack, version
from bench.gate_cases import measure_gate
from bench.gate_report import GATE, gate_section
from bench.load_client import UnexpectedResponseError
from bench.peers import Peer, PeerError, dockerd, tidegate
from bench.report import Row, kept_text, page
from bench.scale_cases import measure_scale
from bench.scale_report import SCALE, scale_section

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/benchmarks.md"
SETTLE_S = 5.0
PARTS = ("engines", "scale", "gate")


def machine(docker_version: str, cli_ms: float) -> list[str]:
    """What the figures hold for."""
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2
    models = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    cgroups = "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1 or hybrid"
    debian = Path("/etc/debian_version").read_text().strip()
    return [
        f"{len(models)} x {models[0] if models else platform.machine()}, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Debian {debian}, cgroup {cgroups}, Python {platform.python_version()}",
        f"Debian's docker.io {docker_version}; the CLI itself takes {cli_ms:.0f} ms to start and say its version",
    ]


def busy() -> str:
    """What else the machine had to do before this began."""
    return f"{os.getloadavg()[0]:.1f} processes on average wanted to run in the minute before, beside the measured ones"


def measure(ours: Peer, theirs: Peer, share: float) -> tuple[list[Row], dict[str, dict[str, int]]]:
    """All rows; idle memory when one container has run and both have settled."""
    for peer in (ours, theirs):
        peer.docker("run", "--rm", *NONE, IMAGE, "true")
    time.sleep(SETTLE_S)
    idle = {peer.name: peer.pss_kib() for peer in (ours, theirs)}
    total = [[sum(idle[peer.name].values()) / 1024] for peer in (ours, theirs)]
    rows = [Row("idle memory, PSS of all processes", "MiB", limit=60, ours=total[0], theirs=total[1])]
    each = Row(f"memory of the engine a running container, PSS, of {RUNNING}", "MiB", limit=1)
    for peer, samples in ((ours, each.ours), (theirs, each.theirs)):
        _sample(each, samples, lambda peer=peer: memory_per_container(peer))  # type: ignore[misc]
    rows.append(each)
    for peer in (ours, theirs):
        prepare(peer)
    for case in CASES:
        row = Row(case.title, case.unit, case.smaller_is_better, case.most)
        for number in range(max(1, round(case.repeats * share))):
            pairs = [(ours, row.ours), (theirs, row.theirs)]
            for peer, samples in pairs if number % 2 == 0 else reversed(pairs):
                _sample(row, samples, lambda peer=peer, case=case: case.measure(peer))  # type: ignore[misc]
        rows.append(row)
        ratio = row.ratio()
        print(f"{case.title}: {row.ours} {row.theirs} {case.unit}; cost {ratio and round(ratio, 2)}", flush=True)
    return rows, idle


def _sample(row: Row, samples: list[float], take: object) -> None:
    try:
        samples.append(take())  # type: ignore[operator]
    except (PeerError, UnexpectedResponseError, OSError) as error:
        row.failures.append(f"{row.title}: {error}")
        print(f"FAILED {row.failures[-1]}", file=sys.stderr, flush=True)


def main() -> int:
    """Exit code 1 when a sample failed; the page is written all the same."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="share of the samples to take, for a quick look")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page to write")
    parser.add_argument("--packages", type=Path, default=ROOT / "build/bench", help="where docker.io is unpacked")
    parser.add_argument("--only", choices=PARTS, help="one part of the page; the others stay as they are")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("both engines need root")
    packages = unpack(options.packages)
    parts = (options.only,) if options.only else PARTS
    failures = 0
    with tidegate() as ours, tempfile.TemporaryDirectory(prefix="tidegate-bench-image-") as directory:
        image = Path(directory) / "image.tar"
        ours.docker("save", "-o", str(image), IMAGE)
        cli_ms = min(ours.timed("--version") for _ in range(5)) * 1000
        facts = machine(version(options.packages), cli_ms)
        before = options.out.read_text() if options.out.exists() else ""
        if "engines" in parts:
            with dockerd(packages, ours.root / "data/pki", image) as theirs:
                rows, idle = measure(ours, theirs, options.share)
            before = page(rows, facts, idle, kept_text(before))
            failures = sum(len(row.failures) for row in rows)
        if "scale" in parts:
            figures = measure_scale(packages, image, ours, [*facts, busy()], options.share)
            before = SCALE.put(before, scale_section(figures))
        if "gate" in parts:
            before = GATE.put(before, gate_section(measure_gate(packages, image, [*facts, busy()], options.share)))
    options.out.write_text(before)
    print(before)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
