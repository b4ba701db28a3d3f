"""Where the audit's lines go: a file, journald or syslog. Each takes lines in order and refuses rather than loses.

What a sink could not hand over it keeps, and hands over before anything else: a chain has no holes. It is for the
writer (``audit``) to accept no new requests meanwhile.

- File: a descriptor opened with O_APPEND by somebody else; short writes are gone on with.
- journald: its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL); the line is the MESSAGE.
- syslog: RFC 5424 in datagrams, facility authpriv, severity info; the line is the MSG.
"""

import errno
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.audit.chain import parse_line

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
SYSLOG_SOCKET = Path("/dev/log")
IDENTIFIER = "tidegate-audit"
_AUTHPRIV_INFO = 10 * 8 + 6
_LOST_PEER = frozenset({errno.ECONNREFUSED, errno.ENOTCONN, errno.ECONNRESET, errno.EPIPE, errno.ENOENT})


class Sink(Protocol):
    """``size_bytes`` is what the present file has; 0 where there are no files."""

    size_bytes: int

    @property
    def is_behind(self) -> bool:
        """Whether lines wait that could not be handed over."""
        ...

    def write(self, lines: Sequence[bytes]) -> None:
        """Hand over what waits and then ``lines``; no lines is another try. Raises OSError; the rest waits."""
        ...

    def sync(self) -> None:
        """Return when everything handed over is on disk, as far as we can tell. Raises OSError. May block."""
        ...

    def switch(self, fd: int) -> None:
        """Go on in another file; nothing may wait. The sink owns ``fd`` from now on."""
        ...

    def close(self) -> None: ...


class FileSink:
    """Appends to a descriptor, which it owns."""

    def __init__(self, fd: int, size_bytes: int = 0, write: Callable[[int, bytes], int] = os.write) -> None:
        self.size_bytes = size_bytes
        self._fd = fd
        self._write = write
        self._rest = b""

    @property
    def is_behind(self) -> bool:
        return bool(self._rest)

    def write(self, lines: Sequence[bytes]) -> None:
        data = self._rest + b"".join(lines)
        try:
            while data:
                taken = self._write(self._fd, data)
                self.size_bytes += taken
                data = data[taken:]
        finally:
            self._rest = data

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def switch(self, fd: int) -> None:
        os.close(self._fd)
        self._fd, self.size_bytes = fd, 0

    def close(self) -> None:
        os.close(self._fd)


class DatagramSink:
    """One datagram for each line, made by ``wrap`` (``journal_entry``, ``SyslogFormat``); connects anew at need."""

    size_bytes = 0

    def __init__(self, path: Path, wrap: Callable[[bytes], bytes]) -> None:
        """Raises OSError when nobody listens at ``path``."""
        self._path = path
        self._wrap = wrap
        self._rest: list[bytes] = []
        self._socket = self._connect()

    @property
    def is_behind(self) -> bool:
        return bool(self._rest)

    def write(self, lines: Sequence[bytes]) -> None:
        self._rest += lines
        sent = 0
        try:
            for line in self._rest:
                self._send(self._wrap(line.removesuffix(b"\n")))
                sent += 1
        finally:
            del self._rest[:sent]

    def sync(self) -> None:
        """The daemon decides when it writes to disk; a datagram that it took is out of our hands."""

    def switch(self, fd: int) -> None:
        raise InvalidParameterError("a log daemon has no files to switch")

    def close(self) -> None:
        self._socket.close()

    def _send(self, datagram: bytes) -> None:
        try:
            self._socket.send(datagram)
        except OSError as error:
            if error.errno not in _LOST_PEER:
                raise
            fresh = self._connect()  # the daemon was restarted: its socket is another
            self._socket.close()
            self._socket = fresh
            self._socket.send(datagram)

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(os.fspath(self._path))
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: {self._path}") from error
        return sock


def journal_entry(line: bytes) -> bytes:
    """A line as an entry of the journal. JSON in one line has no newline, so no field needs a length."""
    seq = parse_line(line).seq
    fields = b"PRIORITY=6\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=%b\nTIDEGATE_AUDIT_SEQ=%d\nMESSAGE=%b\n"
    return fields % (IDENTIFIER.encode(), seq, line)


class SyslogFormat:
    """A line as RFC 5424: priority, version, the line's own time, host, application, process, message id."""

    def __init__(self, host_name: str, pid: int) -> None:
        self._host_name = host_name or "-"
        self._pid = pid

    def __call__(self, line: bytes) -> bytes:
        read = parse_line(line)
        time = read.time[:-4] + "Z"  # TIME-SECFRAC has six digits at most (section 6.2.3)
        head = f"<{_AUTHPRIV_INFO}>1 {time} {self._host_name} {IDENTIFIER} {self._pid} {read.kind} - "
        return head.encode("ascii", "replace") + line
