"""The gate's workers and their dialer, as ``tidegate up`` and ``tidegate gate`` start them.

The workers are forked; the dialer is a thread of the parent, which is root and has nothing else to do. Every fork must
have been made before: a thread does not survive one.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from tidegate.cli.family import Family
from tidegate.gate.audit_start import file_opener
from tidegate.gate.dialer import serve_dialer
from tidegate.gate.process import Entrance, GateProcessSettings, WorkerResources, run_gate


def start_gate(
    family: Family, settings: GateProcessSettings, entrances: list[list[Entrance]], addresses: Mapping[str, Path]
) -> None:
    """Fork a worker for each row of ``entrances``, and dial ``addresses`` for them until they end."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in entrances]
    ours, theirs = zip(*pairs, strict=True)
    family.hold((*ours, *theirs))
    files: dict[str, Callable[[], int]] = {}
    quota_fd = os.memfd_create("tidegate-quotas", os.MFD_CLOEXEC)
    for number, (row, link) in enumerate(zip(entrances, theirs, strict=True), start=1):
        name = "tidegate-gate" if number == 1 else f"tidegate-gate-{number}"
        audit = settings.audit.of_worker(number)
        files[audit.next_file] = file_opener(audit)
        family.start(
            name,
            partial(run_gate, replace(settings, audit=audit), WorkerResources(row, link, quota_fd)),
            keep=[link, *(each.sock for each in row)],
        )
    os.close(quota_fd)
    family.release(keep=ours)
    threading.Thread(target=serve_dialer, args=(list(ours), addresses, files), name="dialer", daemon=True).start()
