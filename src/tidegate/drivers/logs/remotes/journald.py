"""The journald driver: journald's native protocol, one datagram an entry, as fields that are moby's.

Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. An entry that is too long for a datagram goes as a sealed file.
"""

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterable, Sequence

from tidegate.drivers.logs.remotes.messages import Message
from tidegate.drivers.logs.remotes.syslog import SEVERITIES
from tidegate.drivers.logs.remotes.transports import DatagramTransport
from tidegate.engine.logging.addresses import Address
from tidegate.engine.logging.remote import RemoteLog
from tidegate.spec.timestamps import format_time

JOURNAL_SOCKET = "/run/systemd/journal/socket"
_NOT_IN_NAMES = re.compile(r"[^A-Z0-9_]")


class JournaldRemote:
    """Fits ``messages.Remote``."""

    def __init__(self, log: RemoteLog, path: str = JOURNAL_SOCKET) -> None:
        self._datagrams = DatagramTransport(Address("unixgram", path=path))
        fields = {
            "CONTAINER_ID": log.container_id[:12],
            "CONTAINER_ID_FULL": log.container_id,
            "CONTAINER_NAME": log.container_name,
            "CONTAINER_TAG": log.tag,
            "IMAGE_NAME": log.image_name,
            "SYSLOG_IDENTIFIER": log.tag,
            **{field_name(name): value for name, value in log.attributes.items()},
        }
        self._always = encode_fields(fields.items())

    async def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            entry = self.format(message)
            try:
                await self._datagrams.send([entry])
            except OSError as error:
                if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                    raise
                await self._send_file(entry)

    def close(self) -> None:
        self._datagrams.close()

    def format(self, message: Message) -> bytes:
        """One entry."""
        fields = {
            "MESSAGE": message.text,
            "PRIORITY": str(SEVERITIES[message.stream]),
            "SYSLOG_TIMESTAMP": format_time(message.time_ns),
        }
        if message.part is not None:
            fields |= {
                "CONTAINER_PARTIAL_ID": message.part.id,
                "CONTAINER_PARTIAL_ORDINAL": str(message.part.ordinal),
                "CONTAINER_PARTIAL_LAST": str(message.part.is_last).lower(),
            }
            if not message.part.is_last:
                fields["CONTAINER_PARTIAL_MESSAGE"] = "true"
        return self._always + encode_fields(fields.items())

    async def _send_file(self, entry: bytes) -> None:
        fd = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with contextlib.closing(os.fdopen(fd, "wb")) as file:
            file.write(entry)
            file.flush()
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            await self._datagrams.send_descriptor(fd)


def field_name(name: str) -> str:
    """As journald allows them: capitals, digits and underscores, not beginning with the latter."""
    return _NOT_IN_NAMES.sub("_", name.upper()).lstrip("_")


def encode_fields(fields: Iterable[tuple[str, str]]) -> bytes:
    """A value with an end of line in it is sent by its length."""
    parts = []
    for name, text in fields:
        value = text.encode()
        if not name:
            continue
        if b"\n" in value:
            parts.append(b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value))
        else:
            parts.append(b"%s=%s\n" % (name.encode(), value))
    return b"".join(parts)
