"""Reservation of host ports, so that no two containers and no process of the host get the same one.

A reservation is a bound (for TCP listening) socket that a filter keeps deaf: traffic reaches the container by DNAT
before any socket, and what arrives in the instant before the rule exists must not be answered from here.

- ``HostPorts`` belongs to one thread at a time.
- Where the host has no SCTP, the table alone keeps those ports apart.
- On an IPv6 address the reservation is no deaf one: the relay serves it (``port_relay``).
"""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from msgspec.structs import replace

from tidegate.base.errors import InternalError, InvalidParameterError, NotSupportedError
from tidegate.engine.ports import PortPublication

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
WILDCARD = "0.0.0.0"  # noqa: S104 - Docker's default host address of a published port
WILDCARDS = (WILDCARD, "::")
HIGHEST_PORT = 65535

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SO_ATTACH_FILTER = 26
_BPF_RETURN_CONSTANT = 0x06
_Key = tuple[str, str, int]


def parse_publication(port: PortPublication) -> PortPublication:
    """The publication with its host address spelt out; InvalidParameterError or NotSupportedError when it cannot be."""
    if port.protocol not in PROTOCOLS:
        raise InvalidParameterError(f"invalid proto: {port.protocol}")
    highest = max(port.host_port, port.last_host_port)
    if not 0 < port.container_port <= HIGHEST_PORT or not 0 <= port.host_port <= highest <= HIGHEST_PORT:
        raise InvalidParameterError(f"invalid port: {port.host_port}:{port.container_port}/{port.protocol}")
    host_ip = port.host_ip or WILDCARD
    try:
        address = ip_address(host_ip)
    except ValueError as error:
        raise InvalidParameterError(f"invalid IP address: {host_ip}") from error
    if address.version == 6 and port.protocol == "sctp":
        raise NotSupportedError(f"publishing sctp on an IPv6 address is not supported: {host_ip}")
    return replace(port, host_ip=str(address))


def is_ipv6(port: PortPublication) -> bool:
    """Whether the host's address is of IPv6: then a relay serves it, for containers have IPv4 only."""
    return ":" in port.host_ip


def _deafen(reservation: socket.socket) -> None:
    """Attach the classic BPF program "return 0", which drops every packet for the socket (socket(7))."""
    program = ctypes.create_string_buffer(struct.pack("=HBBI", _BPF_RETURN_CONSTANT, 0, 0, 0))
    reservation.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))


def _bind(protocol: str, host_ip: str, host_port: int) -> socket.socket:
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in host_ip else socket.AF_INET
    reservation = socket.socket(family, kind | socket.SOCK_CLOEXEC, PROTOCOLS[protocol])
    try:
        if family == socket.AF_INET6:
            reservation.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        elif protocol != "sctp":
            _deafen(reservation)
        if protocol == "tcp":
            # With SO_REUSEADDR connections in TIME_WAIT do not count; only listening then keeps others away.
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind((host_ip, host_port))
        if protocol == "tcp":
            reservation.listen(1024 if family == socket.AF_INET6 else 1)
    except OSError:
        reservation.close()
        raise
    return reservation


def _bracketed(host_ip: str) -> str:
    return f"[{host_ip}]" if ":" in host_ip else host_ip


class HostPorts:
    """The host ports of this engine's containers, by (protocol, address, port)."""

    def __init__(self) -> None:
        self._held: dict[_Key, socket.socket | None] = {}
        self._next_ephemeral = 0

    def reserve(self, port: PortPublication) -> PortPublication:
        """Reserve the host port, or an ephemeral one for 0; returns the publication with the port it got.

        Raises InvalidParameterError "Bind for ADDRESS:PORT failed: port is already allocated" when it is taken.
        """
        if port.host_port == 0:
            return self._reserve_ephemeral(port)
        if port.last_host_port:
            return self._reserve_of_range(port)
        try:
            self._hold(port)
        except OSError as error:
            where = f"{_bracketed(port.host_ip)}:{port.host_port}"
            if error.errno == errno.EADDRINUSE:
                raise InvalidParameterError(f"Bind for {where} failed: port is already allocated") from error
            raise InvalidParameterError(
                f"failed to bind host port {where}/{port.protocol}: {os.strerror(error.errno or 0).lower()}"
            ) from error
        return port

    def socket_of(self, port: PortPublication) -> socket.socket | None:
        """The reservation; None where there is only the table's."""
        return self._held.get((port.protocol, port.host_ip, port.host_port))

    def adopt(self, port: PortPublication, bound: socket.socket | None = None) -> None:
        """Reserve the port of a running container: it stays the container's even if now it cannot be bound.

        ``bound`` is the reservation, where another process has kept it.
        """
        key = (port.protocol, port.host_ip, port.host_port)
        self._held.setdefault(key, bound)
        with suppress(OSError):  # the table keeps it; a process of the host that bound it meanwhile is shadowed by DNAT
            self._held[key] = self._held[key] or _bind(*key)

    def release(self, port: PortPublication) -> None:
        """Give the port back; one not held is success."""
        reservation = self._held.pop((port.protocol, port.host_ip, port.host_port), None)
        if reservation is not None:
            reservation.close()

    def release_all(self) -> None:
        for reservation in self._held.values():
            if reservation is not None:
                reservation.close()
        self._held.clear()

    def _is_held(self, protocol: str, host_ip: str, host_port: int) -> bool:
        return any(
            held_protocol == protocol
            and held_port == host_port
            and (":" in held_ip) == (":" in host_ip)
            and (held_ip == host_ip or held_ip in WILDCARDS or host_ip in WILDCARDS)
            for held_protocol, held_ip, held_port in self._held
        )

    def _hold(self, port: PortPublication) -> None:
        key = (port.protocol, port.host_ip, port.host_port)
        if self._is_held(*key):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        try:
            self._held[key] = _bind(*key)
        except OSError as error:
            if error.errno not in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
                raise
            self._held[key] = None

    def _candidates(self) -> Iterator[int]:
        first, last = (int(word) for word in _PORT_RANGE.read_text().split())
        start = self._next_ephemeral if first <= self._next_ephemeral <= last else first
        yield from range(start, last + 1)
        yield from range(first, start)

    def _reserve_ephemeral(self, port: PortPublication) -> PortPublication:
        chosen = self._first_free(port, self._candidates())
        if chosen is None:
            raise InternalError(f"no ephemeral {port.protocol} port of the host is free")
        self._next_ephemeral = chosen.host_port + 1
        return chosen

    def _reserve_of_range(self, port: PortPublication) -> PortPublication:
        chosen = self._first_free(port, range(port.host_port, port.last_host_port + 1))
        if chosen is None:
            where = f"{_bracketed(port.host_ip)}:{port.host_port}-{port.last_host_port}"
            raise InvalidParameterError(f"Bind for {where} failed: port is already allocated")
        return chosen

    def _first_free(self, port: PortPublication, candidates: Iterable[int]) -> PortPublication | None:
        for candidate in candidates:
            chosen = replace(port, host_port=candidate, last_host_port=0)
            try:
                self._hold(chosen)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                where = f"{_bracketed(port.host_ip)}:{candidate}/{port.protocol}"
                raise InvalidParameterError(f"failed to bind host port {where}: {error.strerror}") from error
            return chosen
        return None
