"""The decoy as a process: it holds its port, its audit file and a way to have its audit signed, and nothing else.

Before the first connection it gives up root, shuts itself into an empty directory (chroot(2)), bounds its memory and
descriptors, and leaves itself only the system calls of a server that opens nothing. Its end, which a visitor may bring
about, ends nothing else.
"""

import asyncio
import logging
import os
import resource
import signal
import socket
import time
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from tidegate.base.logs import TEXT, configure_log
from tidegate.base.parent_death import end_with_parent
from tidegate.base.syscall_filter import install_filter
from tidegate.gate.audit.start import Audit, AuditSettings, start_audit
from tidegate.gate.behind.dialer import Dialer
from tidegate.gate.behind.registrar_client import RegistrarClient
from tidegate.gate.process import give_up_root
from tidegate.http.server import Server

SIGNER = "signer"
"""The dialer's name for who signs the decoy's audit, and does nothing else for it."""
WRITER = "decoy"
_MEMORY_BYTES = 1024 * 1024 * 1024  # of addresses, most of which are shared pages of the parent
_DESCRIPTORS = 256

_log = logging.getLogger("tidegate.decoy")


class DecoyProcessSettings(msgspec.Struct, frozen=True):
    """``root`` is an empty directory that becomes the process's own; ``owner`` is (uid, gid)."""

    parent_pid: int
    address: str
    port: int
    root: Path
    owner: tuple[int, int]
    audit: AuditSettings
    log_level: str = "info"
    log_format: str = TEXT


def run_decoy(settings: DecoyProcessSettings, sock: socket.socket, link: socket.socket, syscalls: bytes) -> None:
    """Serve ``sock`` until SIGTERM or SIGINT; ``link`` leads to a dialer, ``syscalls`` is the seccomp filter's program.

    Raises as ``start_audit`` does, OSError, InternalError.
    """
    configure_log("decoy", settings.log_level, settings.log_format)
    audit = start_audit(settings.audit)
    server = _decoy_server(audit)
    confine(settings.root, settings.owner)
    end_with_parent(settings.parent_pid)
    install_filter(syscalls)
    uvloop.run(_serve(server, sock, link, audit))


def _decoy_server(audit: Audit) -> Server:
    """Imported here and now: most have no decoy, and one that is confined can read no module any more."""
    from tidegate.gate.decoy.answers import Persona, refuse_as_go
    from tidegate.gate.decoy.server import LIMITS, Decoy

    persona = Persona(os.urandom(16).hex())
    return Server(Decoy(audit.log, persona).handle, LIMITS, refuse_as_go)


def confine(root: Path, owner: tuple[int, int]) -> None:
    """Leave the host's files, and root, for good. Raises OSError, InternalError."""
    time.localtime()  # the zone's file is read once, and cannot be read later
    os.chroot(root)
    os.chdir("/")
    for kind, most in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    give_up_root(*owner)


async def _serve(server: Server, sock: socket.socket, link: socket.socket, audit: Audit) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    dialer = Dialer(link)
    signer = await RegistrarClient.over(await dialer.connect(SIGNER))
    next_file = partial(dialer.open, audit.settings.next_file)
    keeper = asyncio.create_task(audit.log.keep(signer.sign_checkpoint, next_file), name="decoy-audit")
    keeper.add_done_callback(lambda _: stop.set())
    await server.listen(sock)
    _log.info("strangers are answered by a decoy")
    await stop.wait()
    await server.close(grace_s=1.0)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    await audit.log.close(signer.sign_checkpoint)
    await signer.close()
    dialer.close()
