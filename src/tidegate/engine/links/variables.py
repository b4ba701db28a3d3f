"""What a link adds to the environment: the other container's address, ports and variables. Pure.

``DB_PORT``, ``DB_PORT_5432_TCP_ADDR``, ``DB_NAME``, ``DB_ENV_X`` ... for the alias ``db``. Of ports in a row the first
and last are told too. Source: moby's daemon/links, ``EnvVars``.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from tidegate.engine.creation.port_bindings import parse_port

_NOT_TOLD = frozenset({"HOME", "PATH"})


class Port(NamedTuple):
    """Ordered as Docker does: by number, and TCP before the others."""

    number: int
    protocol: str


def link_variables(
    name: str, alias: str, address: str, environment: Collection[str], exposed: Collection[str]
) -> Sequence[str]:
    """``name`` is of the container that holds the link; ``exposed`` are the keys of the other's ``ExposedPorts``."""
    prefix = alias.upper().replace("-", "_")
    ports = sorted((Port(*parse_port(key)) for key in exposed), key=lambda port: (port.number, port.protocol != "tcp"))
    found = [f"{prefix}_PORT={_url(ports[0], address)}"] if ports else []
    for first, last in _runs(ports):
        found += _run_variables(prefix, first, last, address)
    for port in ports:
        base = _base(prefix, port)
        found += [
            f"{base}={_url(port, address)}",
            f"{base}_ADDR={address}",
            f"{base}_PORT={port.number}",
            f"{base}_PROTO={port.protocol}",
        ]
    found.append(f"{prefix}_NAME=/{name}/{alias}")
    pairs = (entry.partition("=") for entry in environment)
    return [*found, *(f"{prefix}_ENV_{key}={value}" for key, equals, value in pairs if equals and key not in _NOT_TOLD)]


def _run_variables(prefix: str, first: Port, last: Port, address: str) -> Iterator[str]:
    start = _base(prefix, first)
    yield f"{start}_START={_url(first, address)}"
    yield f"{start}_ADDR={address}"
    yield f"{start}_PROTO={first.protocol}"
    yield f"{start}_PORT_START={first.number}"
    end = f"{prefix}_PORT_{first.number}_{last.protocol.upper()}"
    yield f"{end}_END={_url(last, address)}"
    yield f"{end}_PORT_END={last.number}"


def _runs(ports: Sequence[Port]) -> Iterator[tuple[Port, Port]]:
    """Each row of at least two ports whose numbers follow one another, as its first and last."""
    start = 0
    for index, port in enumerate(ports):
        if index + 1 < len(ports) and ports[index + 1].number <= port.number + 1:
            continue
        if index > start:
            yield ports[start], port
        start = index + 1


def _base(prefix: str, port: Port) -> str:
    return f"{prefix}_PORT_{port.number}_{port.protocol.upper()}"


def _url(port: Port, address: str) -> str:
    return f"{port.protocol}://{address}:{port.number}"
