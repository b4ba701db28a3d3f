"""The gelf driver: GELF 1.1 over UDP, compressed and in chunks, or over TCP, each message ended by a null byte.

Source: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html. A line that is empty is not sent: it could
not be a ``short_message``.
"""

import logging
import secrets
import socket
import zlib
from collections.abc import Sequence

import msgspec

from tidegate.drivers.logs.remotes.messages import Message
from tidegate.drivers.logs.remotes.syslog import SEVERITIES
from tidegate.drivers.logs.remotes.transports import DatagramTransport, StreamTransport
from tidegate.engine.logging.addresses import gelf_address
from tidegate.engine.logging.remote import RemoteLog

_log = logging.getLogger(__name__)

DATAGRAM_BYTES = 1420
MOST_CHUNKS = 128
DEFAULT_LEVEL = 1
_CHUNK_MAGIC = b"\x1e\x0f"
_CHUNK_BYTES = DATAGRAM_BYTES - 12
_WINDOWS = {"gzip": 31, "zlib": 15}


class GELFRemote:
    """Fits ``messages.Remote``."""

    def __init__(self, log: RemoteLog) -> None:
        address = gelf_address("gelf-address", log.options.get("gelf-address", ""))
        self._datagrams = DatagramTransport(address) if address.scheme == "udp" else None
        self._stream = StreamTransport(address)
        self._compression = log.options.get("gelf-compression-type", "gzip")
        self._level = int(log.options.get("gelf-compression-level", DEFAULT_LEVEL))
        self._always = {
            "version": "1.1",
            "host": socket.gethostname(),
            "_container_id": log.container_id,
            "_container_name": log.container_name,
            "_image_id": log.image_id,
            "_image_name": log.image_name,
            "_command": log.command,
            "_tag": log.tag,
            "_created": log.created,
            **{name if name.startswith("_") else f"_{name}": value for name, value in log.attributes.items()},
        }

    async def send(self, messages: Sequence[Message]) -> None:
        documents = [self.format(message) for message in messages if message.text]
        if self._datagrams is None:
            await self._stream.send(b"".join(document + b"\0" for document in documents))
        else:
            await self._datagrams.send(
                datagram for document in documents for datagram in split_datagram(self._packed(document))
            )

    def close(self) -> None:
        self._stream.close()
        if self._datagrams is not None:
            self._datagrams.close()

    def format(self, message: Message) -> bytes:
        """One message as JSON."""
        own = {
            "short_message": message.text,
            "timestamp": message.time_ns // 1_000_000 / 1000,
            "level": SEVERITIES[message.stream],
        }
        return msgspec.json.encode(self._always | own)

    def _packed(self, document: bytes) -> bytes:
        if self._compression == "none":
            return document
        packer = zlib.compressobj(self._level, zlib.DEFLATED, _WINDOWS[self._compression])
        return packer.compress(document) + packer.flush()


def split_datagram(data: bytes) -> Sequence[bytes]:
    """As it is, or in chunks; nothing, and a warning, when there would be too many."""
    if len(data) <= DATAGRAM_BYTES:
        return [data]
    pieces = [data[at : at + _CHUNK_BYTES] for at in range(0, len(data), _CHUNK_BYTES)]
    if len(pieces) > MOST_CHUNKS:
        _log.warning("a message of %d bytes is too long for GELF over UDP", len(data))
        return []
    head = _CHUNK_MAGIC + secrets.token_bytes(8)
    return [head + bytes((number, len(pieces))) + piece for number, piece in enumerate(pieces)]
