"""From a setting to an open audit: opened while the gate is still root, with its first line written.

A chain in files goes on from start to start. Lines sent to a log daemon cannot be read back, so that each start begins
a chain of its own there, named ``WRITER@START``.
"""

import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.gate.audit.log import AuditLog
from tidegate.gate.audit.sinks import (
    JOURNAL_SOCKET,
    SYSLOG_SOCKET,
    DatagramSink,
    FileSink,
    SyslogFormat,
    journal_entry,
)
from tidegate.pki.audit.files import next_file, open_audit
from tidegate.pki.audit.memory import read_heads, read_key_id, signer_directory
from tidegate.pki.audit.retention import drop_oldest
from tidegate.spec.audit.chain import genesis
from tidegate.spec.audit.records import Segment

_log = logging.getLogger("tidegate.gate")
FILE, JOURNALD, SYSLOG = "file", "journald", "syslog"
KINDS = (FILE, JOURNALD, SYSLOG)


class AuditSettings(msgspec.Struct, frozen=True):
    """``writer`` names the worker; it has no dot, slash or ``@``. ``keep_files`` 0 keeps all."""

    data_root: Path
    kind: str = FILE
    writer: str = "gate-1"
    keep_files: int = 0
    journal_socket: Path = JOURNAL_SOCKET
    syslog_socket: Path = SYSLOG_SOCKET

    @property
    def directory(self) -> Path:
        return self.data_root / "audit"

    @property
    def next_file(self) -> str:
        """The dialer's name for a new file of this writer."""
        return f"audit of {self.writer}"

    def of_worker(self, number: int) -> "AuditSettings":
        """The same for one of several workers; each has a chain of its own."""
        return replace(self, writer=f"gate-{number}")


class Audit(msgspec.Struct, frozen=True):
    """An open audit, and what it was opened by."""

    settings: AuditSettings
    log: AuditLog


def parse_audit_kind(text: str) -> str:
    """Raises InvalidParameterError."""
    if text not in KINDS:
        raise InvalidParameterError(f"audit: {text!r} is none of {', '.join(KINDS)}")
    return text


def parse_keep_files(count: int) -> int:
    """Raises InvalidParameterError for 1: the newest file has no line yet that tells what came before it."""
    if count == 1 or count < 0:
        raise InvalidParameterError(f"audit-files: {count} is neither 0 (all) nor at least 2")
    return count


def start_audit(settings: AuditSettings) -> Audit:
    """Open, and write where the chain begins. The signer must have made its key.

    Raises NotFoundError without a key, InvalidParameterError for a damaged memory, UnavailableError when the audit can
    be neither opened nor written.
    """
    try:
        return _start(settings)
    except OSError as error:
        where = settings.directory if settings.kind == FILE else settings.kind
        raise UnavailableError(f"audit: cannot be opened ({where}): {error}") from error


def _start(settings: AuditSettings) -> Audit:
    signer = signer_directory(settings.data_root)
    key_id = read_key_id(signer)
    if settings.kind != FILE:
        return Audit(settings, _start_at_a_daemon(settings, key_id))
    chain = f"{key_id}/{settings.writer}"
    opened = open_audit(settings.directory, key_id, settings.writer, read_heads(signer).get(chain))
    log = AuditLog(chain, opened.beginning.head, FileSink(opened.fd, opened.size_bytes))
    log.begin(opened.beginning.segment)
    return Audit(settings, log)


def file_opener(settings: AuditSettings) -> Callable[[], int]:
    """What opens the next file: for the dialer, which is root."""
    return partial(_open_next, settings)


def _open_next(settings: AuditSettings) -> int:
    fd = next_file(settings.directory, settings.writer)
    if settings.keep_files:
        try:
            drop_oldest(settings.directory, settings.writer, settings.keep_files, signer_directory(settings.data_root))
        except (OSError, InvalidParameterError) as error:
            _log.error("old files of the audit stay: %s", error)
    return fd


def _start_at_a_daemon(settings: AuditSettings, key_id: str) -> AuditLog:
    if settings.kind == JOURNALD:
        sink = DatagramSink(settings.journal_socket, journal_entry)
    else:
        sink = DatagramSink(settings.syslog_socket, SyslogFormat(socket.gethostname(), os.getpid()))
    chain = f"{key_id}/{settings.writer}@{time.time_ns():x}"
    log = AuditLog(chain, genesis(chain), sink)
    log.begin(Segment("genesis", os.getpid()))
    return log
