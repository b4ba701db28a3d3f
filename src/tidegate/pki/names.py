"""Names in certificates: what may be a client's name, a subject alternative name, a context's host.

Light on purpose (no cryptography): the command line checks its arguments with it.
"""

import ipaddress
import re
from collections.abc import Iterable

from tidegate.base.errors import InvalidParameterError

DEFAULT_TLS_PORT = 2376
MAX_PORT = 65535

# A client's name is the certificate's CN (64 characters at most, RFC 5280 A.1 ub-common-name) and a directory.
_CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ROLE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_CONTEXT_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+")
# Go accepts underscores in host names too (crypto/x509 validHostname), and hosts have them.
_DNS_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"(?:\*\.)?{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_MAX_DNS_NAME = 253
_NUMERIC_LABEL = re.compile(r"[0-9]+")


def parse_client_name(name: str) -> str:
    """Return ``name``. Raises InvalidParameterError unless it is safe as a CN and as a directory name."""
    if not _CLIENT_NAME.fullmatch(name):
        raise InvalidParameterError(
            f"invalid client name {name!r}: 1 to 64 of letters, digits, '_', '.', '-', the first a letter or digit"
        )
    return name


def parse_role_name(name: str) -> str:
    """Return ``name``. Raises InvalidParameterError unless it can be a role's; whether it exists is not asked here."""
    if not _ROLE_NAME.fullmatch(name):
        raise InvalidParameterError(
            f"invalid role {name!r}: 1 to 64 of lower-case letters, digits, '_', '-', the first a letter"
        )
    return name


def parse_context_name(name: str) -> str:
    """Return ``name``. Raises InvalidParameterError for what the docker CLI would not take."""
    if not _CONTEXT_NAME.fullmatch(name) or name == "default":
        raise InvalidParameterError(
            f"invalid context name {name!r}: two or more of letters, digits, '_', '.', '+', '-', and not 'default'"
        )
    return name


def parse_alternative_name(name: str) -> str:
    """Return the canonical text of a DNS name or an IP address. Raises InvalidParameterError."""
    try:
        return str(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))
    except ValueError:
        dns_name = name.lower().removesuffix(".")
    looks_numeric = bool(_NUMERIC_LABEL.fullmatch(dns_name.rpartition(".")[2]))  # 10.0.0.256 is a typing error
    if looks_numeric or len(dns_name) > _MAX_DNS_NAME or not _DNS_NAME.fullmatch(dns_name):
        raise InvalidParameterError(f"invalid name {name!r} for a certificate: neither a DNS name nor an IP address")
    return dns_name


def usable_names(names: Iterable[str]) -> tuple[str, ...]:
    """The canonical names, each once, in order; those that cannot be in a certificate are left out."""
    found: dict[str, None] = {}
    for name in names:
        try:
            found[parse_alternative_name(name)] = None
        except InvalidParameterError:
            continue  # a host may be called anything (sethostname(2)); no client can verify such a name
    return tuple(found)


def parse_context_host(host: str) -> tuple[str, str]:
    """Split ``[tcp://]NAME[:PORT]`` into (``tcp://NAME:PORT``, canonical NAME). Raises InvalidParameterError."""
    scheme, separator, rest = host.rpartition("://")
    if separator and scheme != "tcp":
        raise InvalidParameterError(f"invalid host {host!r}: only tcp:// carries client certificates")
    name, port = _split_port(rest)
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT):
        raise InvalidParameterError(f"invalid host {host!r}: the port is not a number from 1 to {MAX_PORT}")
    canonical = parse_alternative_name(name)
    if "*" in canonical:
        raise InvalidParameterError(f"invalid host {host!r}: a wildcard cannot be connected to")
    shown = f"[{canonical}]" if ":" in canonical else canonical
    return f"tcp://{shown}:{int(port)}", canonical


def _split_port(authority: str) -> tuple[str, str]:
    default = str(DEFAULT_TLS_PORT)
    if authority.startswith("["):
        name, _, rest = authority[1:].partition("]")
        return name, rest.removeprefix(":") or default
    if authority.count(":") > 1:  # a bare IPv6 address
        return authority, default
    name, separator, port = authority.partition(":")
    return name, port if separator else default
