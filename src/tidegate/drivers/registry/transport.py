"""One request to a registry or to its token service, over TLS or in the clear, on a connection of its own. Blocking.

- ``Authorization`` never follows a redirect to another host, and https never one to http;
- the TLS check is left out for registries configured as insecure only; HOST/ca.crt is trusted beside the system's.
"""

import http.client
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import msgspec

from tidegate.base.errors import UnavailableError
from tidegate.drivers.registry.auth import TokenRequest
from tidegate.drivers.registry.proxies import find_route, open_connection

MAX_REDIRECTS = 5
MAX_TOKEN_BYTES = 1 << 20


class RegistryConfig(msgspec.Struct, frozen=True):
    """``insecure`` and ``mirrors`` as in daemon.json; ``certs_dir`` holds HOST/ca.crt; ``timeout_s`` is per read.

    ``proxies`` are URLs by scheme, and under ``no`` the hosts that need none.
    """

    mirrors: Sequence[str] = ()
    insecure: Sequence[str] = ()
    certs_dir: Path | None = None
    timeout_s: float = 60.0
    backoff_s: float = 0.5
    attempts: int = 5
    proxies: Mapping[str, str] = {}


class RegistryTransport:
    """Raises OSError and HTTPException for what is transient, UnavailableError for what is not."""

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config

    def follow(self, url: str, headers: Mapping[str, str], authorization: str | None) -> http.client.HTTPResponse:
        """GET, through redirects; the answer may be of any other status."""
        origin = urlsplit(url)
        for _ in range(MAX_REDIRECTS + 1):
            place = urlsplit(url)
            if origin.scheme == "https" and place.scheme != "https":
                raise UnavailableError(f"registry {origin.netloc} redirects to plaintext")
            same = (place.scheme, place.netloc) == (origin.scheme, origin.netloc)
            sent = {**headers, **({"Authorization": authorization} if authorization and same else {})}
            response = self._send("GET", url, sent, None)
            if response.status not in (301, 302, 303, 307, 308):
                return response
            url = urljoin(url, response.getheader("Location") or "")
            response.close()
        raise UnavailableError(f"registry {origin.netloc}: too many redirects")

    def exchange(self, request: TokenRequest) -> tuple[int, bytes]:
        """Status and body of a token service's answer."""
        response = self._send(request.method, request.url, request.headers, request.body)
        try:
            return response.status, response.read(MAX_TOKEN_BYTES)
        finally:
            response.close()

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> http.client.HTTPResponse:
        """One request on one connection, which closes with the response (``Connection: close``)."""
        place = urlsplit(url)
        if place.scheme not in ("http", "https"):
            raise UnavailableError(f"registry uses an unknown scheme: {url[:200]!r}")
        context = self._tls_context(place.netloc) if place.scheme == "https" else None
        route = find_route(place.scheme, place.netloc, self._config.proxies)
        connection = open_connection(place.netloc, route, context, self._config.timeout_s)
        target = (place.path or "/") + ("?" + place.query if place.query else "")
        try:
            sent = {"User-Agent": "tidegate", "Connection": "close", **headers}
            if route is not None and context is None:
                target, sent = f"http://{place.netloc}{target}", {**route.headers, **sent}
            connection.request(method, target, body, sent)
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def _tls_context(self, host: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority = self._config.certs_dir / host / "ca.crt" if self._config.certs_dir else None
        if authority is not None and authority.is_file():
            context.load_verify_locations(authority)
        name = urlsplit("//" + host).hostname or ""
        if host in self._config.insecure or name in self._config.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
