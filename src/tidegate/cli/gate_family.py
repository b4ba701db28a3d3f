"""The gate and its dialer, as ``tidegate up`` and ``tidegate gate`` start them.

The gate is forked; the dialer is a thread of the parent, which is root and has nothing else to do. Every fork must have
been made before: a thread does not survive one.
"""

import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from tidegate.cli.family import Family
from tidegate.gate.dialer import serve_dialer
from tidegate.gate.process import GateProcessSettings, run_gate


def start_gate(family: Family, settings: GateProcessSettings, addresses: Mapping[str, Path]) -> None:
    """Fork the gate, and dial ``addresses`` for it until it ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def run() -> None:
        ours.close()
        run_gate(settings, theirs)

    family.start("tidegate-gate", run)
    theirs.close()
    threading.Thread(target=serve_dialer, args=([ours], addresses), name="dialer", daemon=True).start()
