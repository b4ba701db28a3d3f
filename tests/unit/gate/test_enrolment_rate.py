"""Who asks for certificates too often waits; strangers keep no client from renewing."""

import asyncio
import os
from collections.abc import Iterator
from typing import cast

import pytest

from tidegate.gate.behind.registrar_client import RegistrarClient
from tidegate.gate.enrolment import EnrolmentDoor
from tidegate.gate.rates import Rates, open_rates
from tidegate.http.messages import BytesBody, Headers, Peer, ProtocolError, Request
from tidegate.pki.registrar_messages import Enrol, Issued, Renew
from tidegate.pki.snapshot import Snapshot

SNAPSHOT = Snapshot(generation=1, ca_pem="ca")


class Registrar:
    async def enrol(self, request: Enrol) -> Issued:
        return Issued("certificate", "ca")

    async def renew(self, request: Renew) -> Issued:
        return Issued("certificate", "ca")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def ask(door: EnrolmentDoor, address: str, certificate: bytes | None = None) -> bool:
    return asyncio.run(is_answered(door, address, certificate))


async def is_answered(door: EnrolmentDoor, address: str, certificate: bytes | None = None) -> bool:
    path = "enrol" if certificate is None else "renew"
    body = b'{"csr":"","proof":"","invitation":""}' if certificate is None else b'{"csr":"","proof":""}'
    request = Request("POST", f"/tidegate/v1/{path}", Headers(), BytesBody(body), Peer(address, certificate))
    try:
        return (await door.answer(request, SNAPSHOT)).status == 201
    except ProtocolError as error:
        assert error.status == 429
        assert "try again in" in error.message
        return False


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def doors(clock: Clock) -> Iterator[tuple[EnrolmentDoor, EnrolmentDoor]]:
    """Of two workers."""
    fd = open_rates()
    registrar = cast(RegistrarClient, Registrar())
    yield EnrolmentDoor(registrar, Rates(fd), clock), EnrolmentDoor(registrar, Rates(fd), clock)
    os.close(fd)


@pytest.fixture
def door(doors: tuple[EnrolmentDoor, EnrolmentDoor]) -> EnrolmentDoor:
    return doors[0]


def test_an_address_waits_for_itself(door: EnrolmentDoor, clock: Clock) -> None:
    assert [ask(door, f"10.0.0.1:{port}") for port in range(12)] == [True] * 10 + [False] * 2
    assert ask(door, "10.0.0.2:1")
    clock.now_s = 1.5
    assert [ask(door, "10.0.0.1:1") for _ in range(2)] == [True, False]


def test_a_crowd_of_strangers_waits_and_clients_do_not(door: EnrolmentDoor, clock: Clock) -> None:
    answered = [ask(door, f"[2001:db8::{number:x}]:9") for number in range(120)]
    assert answered == [True] * 100 + [False] * 20
    assert ask(door, "10.0.0.9:9", b"certificate")


def test_all_workers_count_together(doors: tuple[EnrolmentDoor, EnrolmentDoor]) -> None:
    assert [ask(doors[port % 2], f"10.0.0.1:{port}") for port in range(12)] == [True] * 10 + [False] * 2
