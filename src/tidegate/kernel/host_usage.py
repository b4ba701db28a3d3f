"""What the host's processors and a process's network interfaces have counted (proc(5))."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tidegate.kernel.cgroups.files import read_text
from tidegate.kernel.cgroups.usage import TICK_NS

_COUNTED = 7  # user nice system idle iowait irq softirq; what follows is part of these, or of other machines


class InterfaceUsage(msgspec.Struct, frozen=True):
    """Counters of one interface, as its namespace sees them."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


def host_cpu_ns(proc: Path = Path("/proc")) -> int:
    """The time of all processors together, idle or not."""
    first = read_text(proc / "stat").partition("\n")[0].split()
    return sum(int(word) for word in first[1 : 1 + _COUNTED]) * TICK_NS


def interfaces_of(pid: int, proc: Path = Path("/proc")) -> Mapping[str, InterfaceUsage]:
    """Those of the process's network namespace, without the loopback; none when it is gone."""
    try:
        text = read_text(proc / str(pid) / "net/dev")
    except OSError:  # it has just ended, and with it its namespace
        return {}
    return parse_interfaces(text)


def parse_interfaces(text: str) -> Mapping[str, InterfaceUsage]:
    """``eth0: 1 2 ...``: eight counters received, then eight sent; of each, the first four."""
    found = {}
    for line in text.splitlines():
        name, colon, counters = line.partition(":")
        words = counters.split()
        if colon and len(words) >= 12 and name.strip() != "lo":
            found[name.strip()] = InterfaceUsage(*(int(word) for word in (*words[:4], *words[8:12])))
    return found
