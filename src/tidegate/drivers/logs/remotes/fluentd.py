"""The fluentd driver: the Forward protocol in its forward mode, many events a message, in MessagePack.

Source: https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1.

With ``fluentd-request-ack`` events are delivered when the remote says so; else when its kernel has them.
"""

import base64
import secrets
import ssl
from collections.abc import Mapping, Sequence

import msgspec

from tidegate.drivers.logs.remotes.messages import Message
from tidegate.drivers.logs.remotes.transports import StreamTransport
from tidegate.engine.logging import values
from tidegate.engine.logging.addresses import fluentd_address
from tidegate.engine.logging.remote import RemoteLog

ACK_TIMEOUT_S = 60.0
LONGEST_ACK_BYTES = 4096
_NANOSECONDS = 1_000_000_000
_EVENT_TIME = 0


class FluentdRemote:
    """Fits ``messages.Remote``."""

    def __init__(self, log: RemoteLog) -> None:
        options = log.options
        address = fluentd_address("fluentd-address", options.get("fluentd-address", ""))
        self._stream = StreamTransport(address, _tls_context() if address.scheme == "tls" else None)
        self._tag = log.tag
        self._always = {"container_id": log.container_id, "container_name": f"/{log.container_name}", **log.attributes}
        self._precise = values.is_true(options, "fluentd-sub-second-precision")
        self._acks = values.is_true(options, "fluentd-request-ack")
        self._write_timeout_s = _timeout_s(options, "fluentd-write-timeout")
        self._read_timeout_s = _timeout_s(options, "fluentd-read-timeout") or ACK_TIMEOUT_S

    async def send(self, messages: Sequence[Message]) -> None:
        entries = [(self._time(message), self.record(message)) for message in messages]
        chunk = base64.b64encode(secrets.token_bytes(16)).decode()
        option = {"size": len(entries), **({"chunk": chunk} if self._acks else {})}
        await self._stream.send(msgspec.msgpack.encode((self._tag, entries, option)), self._write_timeout_s)
        if self._acks:
            await self._receive_ack(chunk)

    def close(self) -> None:
        self._stream.close()

    def record(self, message: Message) -> Mapping[str, str]:
        """One event's record."""
        own = {"source": message.stream, "log": message.text}
        if message.part is not None:
            own |= {
                "partial_message": "true",
                "partial_id": message.part.id,
                "partial_ordinal": str(message.part.ordinal),
                "partial_last": str(message.part.is_last).lower(),
            }
        return self._always | own

    def _time(self, message: Message) -> int | msgspec.msgpack.Ext:
        seconds, nanoseconds = divmod(message.time_ns, _NANOSECONDS)
        if not self._precise:
            return seconds
        return msgspec.msgpack.Ext(_EVENT_TIME, seconds.to_bytes(4, "big") + nanoseconds.to_bytes(4, "big"))

    async def _receive_ack(self, chunk: str) -> None:
        data = b""
        while True:
            data += await self._stream.receive(self._read_timeout_s)
            if len(data) > LONGEST_ACK_BYTES:
                self._stream.close()
                raise ConnectionAbortedError("the remote sends what is no acknowledgement")
            try:
                answer = msgspec.msgpack.decode(data)
            except msgspec.DecodeError:
                continue  # not whole yet, or nothing of the protocol: then the time runs out
            if not isinstance(answer, dict) or answer.get("ack") != chunk:
                self._stream.close()
                raise ConnectionAbortedError(f"the remote acknowledged something else: {answer!r}")
            return


def _timeout_s(options: Mapping[str, str], name: str) -> float | None:
    return values.duration_s(name, options.get(name, "0")) or None


def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()
