"""The syslog driver: RFC 3164 and RFC 5424 over UDP, TCP, TLS (RFC 5425) and unix sockets, as moby's does it.

What is sent has the time of its record. A line that is empty is not sent, as with dockerd.
"""

import os
import socket
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from tidegate.drivers.logs.remotes.messages import Message
from tidegate.drivers.logs.remotes.transports import DatagramTransport, StreamTransport
from tidegate.engine.logging import values
from tidegate.engine.logging.addresses import syslog_address
from tidegate.engine.logging.remote import RemoteLog

ERROR, INFORMATIONAL = 3, 6
SEVERITIES = {"stdout": INFORMATIONAL, "stderr": ERROR}
_NANOSECONDS = 1_000_000_000


class SyslogRemote:
    """Fits ``messages.Remote``."""

    def __init__(self, log: RemoteLog) -> None:
        """Raises OSError: a certificate or key that cannot be read."""
        options = log.options
        address = syslog_address("syslog-address", options.get("syslog-address", ""))
        self._tag = log.tag
        self._facility = values.syslog_facility("", options.get("syslog-facility", ""))
        self._head = lru_cache(maxsize=16)(self._write_head)  # the records of one write have the same time
        self._format = options.get("syslog-format", "")
        self._counts_octets = address.scheme == "tcp+tls" and self._format.startswith("rfc5424")
        self._datagrams = DatagramTransport(address) if address.scheme in ("udp", "unixgram") else None
        tls = _tls_context(log) if address.scheme == "tcp+tls" else None
        self._stream = StreamTransport(address, tls)

    async def send(self, messages: Sequence[Message]) -> None:
        lines = [self.format(message) for message in messages if message.text]
        if self._datagrams is not None:
            await self._datagrams.send(lines)
        elif self._counts_octets:
            await self._stream.send(b"".join(b"%d %s" % (len(line), line) for line in lines))
        else:
            await self._stream.send(b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        self._stream.close()
        if self._datagrams is not None:
            self._datagrams.close()

    def format(self, message: Message) -> bytes:
        """One message, without the end of line that streams add."""
        return self._head(message.stream, message.time_ns) + message.text.encode()

    def _write_head(self, stream: str, time_ns: int) -> bytes:
        priority = self._facility << 3 | SEVERITIES[stream]
        host, tag, pid = socket.gethostname(), self._tag, os.getpid()
        if self._format.startswith("rfc5424"):
            digits = "microseconds" if self._format == "rfc5424micro" else "seconds"
            moment = datetime.fromtimestamp(time_ns // _NANOSECONDS, UTC)
            moment = moment.replace(microsecond=time_ns % _NANOSECONDS // 1000, tzinfo=None)
            head = f"<{priority}>1 {moment.isoformat(timespec=digits)}Z {host} {tag} {pid} {tag} -"
        else:
            stamp = time.strftime("%b %e %H:%M:%S", time.localtime(time_ns // _NANOSECONDS))
            named = f"{host} " if self._format == "rfc3164" else ""
            head = f"<{priority}>{stamp} {named}{tag}[{pid}]:"
        return f"{head} ".encode()


def _tls_context(log: RemoteLog) -> ssl.SSLContext:
    options = log.options
    context = ssl.create_default_context(cafile=options.get("syslog-tls-ca-cert") or None)
    if "syslog-tls-skip-verify" in options:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate := options.get("syslog-tls-cert"):
        context.load_cert_chain(certificate, options.get("syslog-tls-key") or None)
    return context
