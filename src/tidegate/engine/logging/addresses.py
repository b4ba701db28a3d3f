"""Where remote logs go: ``SCHEME://HOST:PORT`` or ``SCHEME:///PATH``, with each driver's own rules for it.

A unix socket need not exist yet: a remote that is away is waited for. All functions raise InvalidParameterError.
"""

from typing import NamedTuple
from urllib.parse import urlsplit

from tidegate.base.errors import InvalidParameterError

SYSLOG_PORT, FLUENTD_PORT = 514, 24224
LOCAL_SYSLOG = "/dev/log"


class Address(NamedTuple):
    """``path`` of a unix socket, or ``host`` and ``port``. ``scheme``: tcp, udp, unix, unixgram, tcp+tls or tls."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{self.path or f'{host}:{self.port}'}"


def _parse(name: str, text: str, default_port: int | None) -> Address:
    try:
        parts = urlsplit(text)
        port = parts.port if parts.port is not None else default_port
    except ValueError as error:
        raise InvalidParameterError(f"invalid {name} {text}: {error}") from error
    if parts.scheme in ("unix", "unixgram"):
        if not parts.path.startswith("/") or parts.netloc:
            raise InvalidParameterError(f"invalid {name} {text}: {parts.scheme} needs an absolute path")
        return Address(parts.scheme, path=parts.path)
    if not parts.hostname or port is None or parts.path not in ("", "/") or parts.query or parts.username:
        raise InvalidParameterError(f"{name} should be in form proto://address, got {text}")
    return Address(parts.scheme, parts.hostname, port)


def syslog_address(name: str, text: str) -> Address:
    """Empty is the host's own syslog."""
    if not text:
        return Address("unixgram", path=LOCAL_SYSLOG)
    scheme = text.partition("://")[0]
    if scheme not in ("udp", "tcp", "tcp+tls", "unix", "unixgram"):
        raise InvalidParameterError(f"unsupported scheme: '{scheme if scheme != text else ''}'")
    return _parse(name, text, SYSLOG_PORT)


def gelf_address(name: str, text: str) -> Address:
    if not text:
        raise InvalidParameterError("gelf-address is a required parameter")
    if "://" not in text:
        raise InvalidParameterError(f"gelf-address should be in form proto://address, got {text}")
    if text.partition("://")[0] not in ("udp", "tcp"):
        raise InvalidParameterError("gelf: endpoint needs to be TCP or UDP")
    try:
        return _parse(name, text, None)
    except InvalidParameterError as error:
        raise InvalidParameterError("gelf: please provide gelf-address as proto://host:port") from error


def fluentd_address(name: str, text: str) -> Address:
    """A scheme may be left out: ``HOST``, ``HOST:PORT``."""
    if not text:
        return Address("tcp", "127.0.0.1", FLUENTD_PORT)
    text = text if "://" in text else f"tcp://{text}"
    scheme = text.partition("://")[0]
    if scheme not in ("tcp", "tls", "unix"):
        raise InvalidParameterError(f"invalid {name} {text}: {scheme!r} is none of tcp, tls and unix")
    return _parse(name, text, FLUENTD_PORT)
