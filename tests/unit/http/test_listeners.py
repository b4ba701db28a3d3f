"""TCP sockets of several workers share one port, and share it with nobody else."""

import socket

import pytest

from tidegate.base.errors import ConflictError, InvalidParameterError
from tidegate.http.listeners import bind_tcp


@pytest.mark.parametrize("workers", [1, 3])
def test_the_workers_of_port_0_have_one_port(workers: int) -> None:
    sockets = bind_tcp("127.0.0.1", 0, workers)
    for sock in sockets:
        sock.listen()
    assert len(sockets) == workers
    assert len({sock.getsockname() for sock in sockets}) == 1
    for sock in sockets:
        sock.close()


def test_connections_are_spread() -> None:
    sockets = bind_tcp("127.0.0.1", 0, 2)
    for sock in sockets:
        sock.listen(64)
        sock.setblocking(False)
    clients = [socket.create_connection(sockets[0].getsockname()) for _ in range(32)]
    accepted = []
    for sock in sockets:
        accepted.append(0)
        while True:
            try:
                sock.accept()[0].close()
            except BlockingIOError:
                break
            accepted[-1] += 1
    assert sum(accepted) == 32
    assert all(accepted)
    for each in [*sockets, *clients]:
        each.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_is_not_shared_with_another_program(workers: int) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConflictError, match=rf"tcp://127.0.0.1:{port}: Address already in use"):
            bind_tcp("127.0.0.1", port, workers)


@pytest.mark.parametrize("address", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_elsewhere_is_refused_by_name(address: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"cannot listen on tcp://{address}:0"):
        bind_tcp(address, 0)
