"""Every name and address by which a client may reach this host, as far as the host itself knows.

Addresses come from getifaddrs(3), by ctypes: the C library has it, Python does not. Link-local addresses are left out:
they mean nothing without an interface name, which a certificate cannot carry.
"""

import ctypes
import ipaddress
import os
import socket
import threading
from collections.abc import Iterator

from tidegate.pki.names import usable_names

_RESOLVER_DEADLINE_S = 2.0
_ADDRESS_AT = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}  # sockaddr_in, sockaddr_in6: (offset, length)


class _InterfaceAddress(ctypes.Structure):
    """The head of ``struct ifaddrs``, as far as it is read here."""


_InterfaceAddress._fields_ = [
    ("next", ctypes.POINTER(_InterfaceAddress)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def host_names() -> tuple[str, ...]:
    """localhost, the host name, the full name, loopback addresses, then every interface address; each once."""
    hostname = socket.gethostname()
    names = ["localhost", hostname, full_name(hostname), "127.0.0.1", "::1", *sorted(interface_addresses())]
    return usable_names(names)


def interface_addresses() -> set[str]:
    """The IPv4 and IPv6 addresses of all interfaces, link-local ones excepted. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = ctypes.POINTER(_InterfaceAddress)()
    if libc.getifaddrs(ctypes.byref(head)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "getifaddrs")
    try:
        return {str(address) for address in _walk(head) if not address.is_link_local}
    finally:
        libc.freeifaddrs(head)


def _walk(
    entry: "ctypes._Pointer[_InterfaceAddress]",
) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    while entry:
        if entry.contents.address:
            family = ctypes.c_ushort.from_address(entry.contents.address).value
            if family in _ADDRESS_AT:
                offset, length = _ADDRESS_AT[socket.AddressFamily(family)]
                yield ipaddress.ip_address(ctypes.string_at(entry.contents.address + offset, length))
        entry = entry.contents.next


def full_name(hostname: str) -> str:
    """The canonical name the resolver gives, or ``hostname`` if it has none or does not answer in two seconds."""
    answers: list[str] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(hostname, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
        except (OSError, UnicodeError):
            return  # unknown to the resolver: the host name alone has to do
        answers.extend(canonical for _, _, _, canonical, _ in found if canonical)

    # A thread of its own, left behind when late: getaddrinfo(3) has no deadline, and a dead DNS server costs 10 s.
    thread = threading.Thread(target=ask, name="pki-full-name", daemon=True)
    thread.start()
    thread.join(_RESOLVER_DEADLINE_S)
    return next((answer for answer in answers if "." in answer), hostname)
