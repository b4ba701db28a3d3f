"""The way to a registry through a proxy, where one is configured.

For https the proxy is asked for a tunnel (CONNECT), and sees nothing of what is said in it; for http it is asked for
the whole URL. Credentials in a proxy's URL are sent to the proxy alone.
"""

import base64
import http.client
import ipaddress
import ssl
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from tidegate.base.errors import UnavailableError


class Route(msgspec.Struct, frozen=True):
    """A proxy: its host and port, and what it is told besides."""

    netloc: str
    headers: Mapping[str, str] = {}


def find_route(scheme: str, netloc: str, proxies: Mapping[str, str]) -> Route | None:
    """The proxy for ``netloc``; None for the direct way. Raises UnavailableError for a proxy that is no http URL."""
    wanted = proxies.get(scheme, "")
    if not wanted or is_exempt(netloc, proxies.get("no", "")):
        return None
    url = urlsplit(wanted if "://" in wanted else f"http://{wanted}")
    if url.scheme != "http" or not url.hostname:
        raise UnavailableError(f"the proxy for {scheme} is no http URL")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    headers = {}
    if url.username is not None:
        secret = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
    return Route(f"{host}:{url.port or 80}", headers)


def is_exempt(netloc: str, no_proxy: str) -> bool:
    """Whether ``no_proxy`` names the host: itself, a domain above it, a network, or ``*``; loopback always is."""
    host = (urlsplit(f"//{netloc}").hostname or "").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_covers(entry, host, netloc.lower(), address) for entry in no_proxy.lower().replace(" ", "").split(","))


def _covers(entry: str, host: str, netloc: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if not entry:
        return False
    if entry == "*" or entry in (host, netloc):
        return True
    if "/" in entry and address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    return address is None and host.endswith("." + entry.removeprefix("*").removeprefix("."))


def open_connection(
    netloc: str, route: Route | None, context: ssl.SSLContext | None, timeout_s: float
) -> http.client.HTTPConnection:
    """Not yet connected; without ``context`` in the clear."""
    via = netloc if route is None else route.netloc
    if context is None:
        return http.client.HTTPConnection(via, timeout=timeout_s)
    connection = http.client.HTTPSConnection(via, timeout=timeout_s, context=context)
    if route is not None:
        connection.set_tunnel(netloc, headers=dict(route.headers))
    return connection
