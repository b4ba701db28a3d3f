"""Work with the keys of the PKI, and the process that does it: ``python -m tidegate.registrar.key_work DATA_ROOT``.

The library for certificates takes 15 MB, and is needed for some moments of a day: whoever lives long has it done here.
Requests and replies go over the socket that is standard input, each with its length before it, one after the other; the
process ends with it.
"""

import logging
import signal
import socket
import sys
from pathlib import Path

import msgspec

from tidegate.base.errors import InternalError, TidegateError
from tidegate.base.logs import configure_log
from tidegate.pki.registrar_messages import PREFIX, Enrol, Issued, Refused, Renew, Retire, Retired, refuse

_log = logging.getLogger("tidegate.registrar")


class KeepUp(msgspec.Struct, frozen=True, tag="keep-up"):
    """Renew what is due; ``server`` is the certificate that the gate shows, if it shows one."""

    server: str | None


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """Done; the warnings are of what ends soon and nobody has renewed."""

    warnings: list[str]


Grantable = Enrol | Renew | Retire
Granted = Issued | Retired
KeyRequest = Grantable | KeepUp
KeyReply = Granted | Kept | Refused


def grant(data_root: Path, request: Grantable) -> Granted:
    """Raises as the methods of ``pki.enrolment.Enrolment``."""
    from tidegate.pki.authority import Authority
    from tidegate.pki.joining.enrolment import Enrolment

    enrolment = Enrolment(Authority(data_root))
    match request:
        case Enrol():
            return enrolment.enrol(request)
        case Renew():
            return enrolment.renew(request)
        case Retire():
            return enrolment.retire(request)


def keep_up(data_root: Path, server: Path | None) -> list[str]:
    """Renew what is due; returns the warnings. Raises as ``pki.upkeep.keep_up``."""
    from tidegate.pki import upkeep
    from tidegate.pki.authority import Authority
    from tidegate.pki.rotation import Rotation

    authority = Authority(data_root)
    Rotation(authority).complete()
    upkeep.keep_up(authority)
    return upkeep.warnings(authority, server)


def answer(data_root: Path, document: bytes) -> KeyReply:
    """What becomes of one encoded request; every error is an answer."""
    try:
        request = msgspec.json.decode(document, type=KeyRequest)
        if isinstance(request, KeepUp):
            return Kept(keep_up(data_root, Path(request.server) if request.server else None))
        return grant(data_root, request)
    except TidegateError as error:
        return refuse(error)
    except Exception as error:  # noqa: BLE001 - whatever it was, the registrar is owed an answer
        _log.exception("work with keys failed")
        return refuse(InternalError(f"the registrar could not do this: {error}"))


def serve(channel: socket.socket, data_root: Path) -> None:
    """Until the other end is closed."""
    stream = channel.makefile("rb")
    while prefix := stream.read(PREFIX.size):
        reply = msgspec.json.encode(answer(data_root, stream.read(PREFIX.unpack(prefix)[0])))
        channel.sendall(PREFIX.pack(len(reply)) + reply)


def main() -> None:
    configure_log("registrar", "warn", sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the registrar ends this by itself
    with socket.socket(fileno=0) as channel:
        serve(channel, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
