"""The gate's workers and their dialer, as ``tidegate up`` and ``tidegate gate`` start them.

The workers are forked; the dialer is a thread of the parent, which is root and has nothing else to do. Every fork must
have been made before: a thread does not survive one.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tidegate.cli.family import Family
from tidegate.gate.audit_start import file_opener
from tidegate.gate.decoy_process import SIGNER, DecoyProcessSettings, run_decoy
from tidegate.gate.dialer import serve_dialer
from tidegate.gate.process import Entrance, GateProcessSettings, WorkerResources, run_gate


@dataclass(frozen=True, slots=True)
class Dialling:
    """What a dialer serves: our ends of links, and what may be asked for on them."""

    links: list[socket.socket]
    addresses: Mapping[str, Path]
    files: Mapping[str, Callable[[], int]]

    def begin(self) -> None:
        """In a thread, until the other ends are closed."""
        arguments = (self.links, self.addresses, self.files)
        threading.Thread(target=serve_dialer, args=arguments, name="dialer", daemon=True).start()


def fork_decoy(family: Family, settings: DecoyProcessSettings, sock: socket.socket, signer: Path) -> Dialling:
    """Fork the decoy, whose port is ``sock`` and which reaches ``signer`` alone; the caller begins the dialling."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    family.hold((ours, theirs))
    settings.root.mkdir(parents=True, exist_ok=True, mode=0o711)
    family.start("tidegate-decoy", partial(run_decoy, settings, sock, theirs), keep=[sock, theirs], expendable=True)
    return Dialling([ours], {SIGNER: signer}, {settings.audit.next_file: file_opener(settings.audit)})


def start_gate(
    family: Family,
    settings: GateProcessSettings,
    entrances: list[list[Entrance]],
    addresses: Mapping[str, Path],
    others: Sequence[Dialling] = (),
) -> None:
    """Fork a worker for each row of ``entrances``, and dial ``addresses`` for them until they end.

    ``others`` are diallings of children forked before, which begin here: after the last fork.
    """
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
    family.release(keep=[*ours, *(link for other in others for link in other.links)])
    for dialling in (Dialling(list(ours), addresses, files), *others):
        dialling.begin()
