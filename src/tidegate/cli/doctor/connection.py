"""A connection tried as the stock docker CLI would try it, step by step, and what was seen at each. No judgement here.

Go's rules hold: TLS when a certificate path is given, only the CAs of ``ca.pem`` are trusted, only SANs count, and a
proxy of the environment is used for every host but loopback.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.cli.doctor.client_files import ClientFiles

TIMEOUT_S = 10.0
_MOST_BYTES = 64 * 1024
_PORTS = {True: 2376, False: 2375}


class Target(msgspec.Struct, frozen=True):
    """Where to, and by which proxy ("" for none)."""

    host: str
    port: int
    tls: bool
    proxy: str = ""

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{shown}:{self.port}"


@dataclass(slots=True)
class Observation:
    """What happened. A text is "" for what did not; ``verify_code`` is OpenSSL's (X509_V_ERR_...), 0 for none.

    ``failure`` is OpenSSL's reason for a connection that was cut, RESET or TIMEOUT; ``server_der`` the certificate that
    the server showed.
    """

    target: Target
    files: ClientFiles | None = None
    unreachable: str = ""
    proxy_refusal: str = ""
    verify_code: int = 0
    failure: str = ""
    server_der: bytes = b""
    is_publicly_trusted: bool = False
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    raw: bytes = b""

    @property
    def server_time_s(self) -> float | None:
        """The server's clock, by the Date of an answer."""
        with contextlib.suppress(ValueError, TypeError):
            return parsedate_to_datetime(self.headers["date"]).timestamp() if "date" in self.headers else None
        return None


def parse_target(text: str, tls: bool, environment: Mapping[str, str]) -> Target:
    """``tcp://HOST[:PORT]`` or ``HOST[:PORT]``. Raises InvalidParameterError."""
    parts = urlsplit(text if "://" in text else f"tcp://{text}")
    try:
        port = parts.port
    except ValueError as error:
        raise InvalidParameterError(f"--connect: {text!r}: {error}") from error
    if parts.scheme not in ("tcp", "https", "http") or not parts.hostname or parts.path not in ("", "/"):
        raise InvalidParameterError(f"--connect: {text!r} is not tcp://HOST:PORT")
    return Target(parts.hostname, port or _PORTS[tls], tls, choose_proxy(parts.hostname, tls, environment))


def choose_proxy(host: str, tls: bool, environment: Mapping[str, str]) -> str:
    """The proxy that Go's ProxyFromEnvironment would use, "" for none."""
    names = ("HTTPS_PROXY", "https_proxy") if tls else ("HTTP_PROXY", "http_proxy")
    proxy = next((environment[name] for name in names if environment.get(name)), "")
    excluded = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    if not proxy or host in ("localhost", "::1") or host.startswith("127."):
        return ""
    return "" if any(_covers(rule.strip(), host) for rule in excluded.split(",")) else proxy


def _covers(rule: str, host: str) -> bool:
    """A word of NO_PROXY: ``*``, a name (with all below it), an address, or a network."""
    if rule == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        name = rule.removeprefix("*").removeprefix(".").lower()
        return bool(name) and (host.lower() == name or host.lower().endswith(f".{name}"))


def observe(target: Target, files: ClientFiles | None) -> Observation:
    """Try, and stop where the CLI would; then look a little further for the reason. Never raises."""
    seen = Observation(target, files)
    if not target.tls:
        _try(seen, None)
        return seen
    _try(seen, _strict_context(files))
    if seen.verify_code or seen.failure:
        _look_closer(seen)
    return seen


def _strict_context(files: ClientFiles | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files is not None and files.ca_pem:
        context.load_verify_locations(cadata=files.ca_pem)
    if files is not None and files.is_pair:
        context.load_cert_chain(files.certificate_path, files.key_path)
    return context


def _try(seen: Observation, context: ssl.SSLContext | None) -> None:
    connection = _connect(seen)
    if connection is None:
        return
    with connection:
        try:
            _exchange(seen, connection, context)
        except ssl.SSLCertVerificationError as error:
            seen.verify_code = error.verify_code
        except ssl.SSLError as error:
            seen.failure = error.reason or str(error)
        except OSError as error:
            seen.failure = "TIMEOUT" if isinstance(error, TimeoutError) else "RESET"


def _exchange(seen: Observation, connection: socket.socket, context: ssl.SSLContext | None) -> None:
    stream = connection
    if context is not None:
        stream = context.wrap_socket(connection, server_hostname=seen.target.host)
        seen.server_der = stream.getpeercert(binary_form=True) or b""
    with stream:
        shown = f"[{seen.target.host}]" if ":" in seen.target.host else seen.target.host
        request = f"GET /_ping HTTP/1.1\r\nHost: {shown}\r\nConnection: close\r\n\r\n"
        stream.sendall(request.encode())
        _read_answer(seen, stream)


def _read_answer(seen: Observation, stream: socket.socket) -> None:
    raw = b""
    while len(raw) < _MOST_BYTES and (data := stream.recv(4096)):
        raw += data
    seen.raw = raw
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if not words[0].startswith("HTTP/") or len(words) < 2 or not words[1].isdecimal():
        return
    seen.status = int(words[1])
    seen.headers = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in lines[1:])}
    seen.body = body.decode("utf-8", "replace")


def _look_closer(seen: Observation) -> None:
    """Once more, trusting anybody and showing nothing, for the server's certificate and its clock."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent but a ping
    closer = Observation(seen.target, seen.files)
    _try(closer, context)
    seen.server_der = seen.server_der or closer.server_der
    seen.headers = seen.headers or closer.headers
    seen.failure = seen.failure or closer.failure
    if seen.verify_code:
        public = Observation(seen.target, seen.files)
        _try(public, ssl.create_default_context())
        seen.is_publicly_trusted = bool(public.server_der)


def _connect(seen: Observation) -> socket.socket | None:
    """A TCP connection, through the proxy if there is one."""
    target = seen.target
    proxy = urlsplit(target.proxy if "://" in target.proxy else f"http://{target.proxy}")
    via = (proxy.hostname or "", proxy.port or 80) if target.proxy else (target.host, target.port)
    try:
        connection = socket.create_connection(via, TIMEOUT_S)
    except OSError as error:
        seen.unreachable = error.strerror or str(error)
        return None
    return _through_proxy(seen, connection) if target.proxy else connection


def _through_proxy(seen: Observation, connection: socket.socket) -> socket.socket | None:
    """CONNECT (RFC 9110, section 9.3.6)."""
    where = seen.target.url.removeprefix("tcp://")
    try:
        connection.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection, method="CONNECT")
        answer.begin()
    except (OSError, http.client.HTTPException) as error:
        seen.proxy_refusal = str(error) or type(error).__name__
    else:
        if answer.status == http.client.OK:
            return connection
        seen.proxy_refusal = f"{answer.status} {answer.reason}"
    connection.close()
    return None
