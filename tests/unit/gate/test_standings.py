"""What a worker believes of a certificate that a responder was asked about, as time goes by."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tidegate.base.errors import UnavailableError
from tidegate.gate.standings import Standings
from tidegate.pki.registrar_messages import CertificateStatus

DER = b"certificate"


class World:
    """A clock and a registrar: ``answer`` None is one that does not answer."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.answer: str | None = "good"
        self.lasts_s = 100
        self.asked = 0
        self.changes = 0
        self.standings = Standings(self.ask, lambda: self.now_s)

    async def ask(self, certificate_pem: str) -> CertificateStatus:
        assert "BEGIN CERTIFICATE" in certificate_pem
        self.asked += 1
        if self.answer is None:
            raise UnavailableError("the responder is away")
        return CertificateStatus(self.answer, int(self.now_s) + self.lasts_s)

    def changed(self) -> None:
        self.changes += 1

    def do(self, work: Coroutine[Any, Any, None]) -> str:
        asyncio.run(work)
        return self.standings.refusal(DER)

    def look(self, after_s: float) -> str:
        self.now_s += after_s
        return self.do(self.standings.look(self.changed))


@pytest.fixture
def world() -> World:
    return World()


def test_nobody_is_good_who_was_not_asked_about(world: World) -> None:
    assert "was not asked in time" in world.standings.refusal(DER)


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ("good", ""), ("unchecked", ""), ("revoked", "is revoked to its CA's OCSP responder"),
        ("unknown", "is unknown to its CA's OCSP responder"), (None, "could not be checked: the responder is away"),
    ],
)  # fmt: skip
def test_what_was_said_counts(world: World, answer: str | None, refusal: str) -> None:
    world.answer = answer
    assert world.do(world.standings.learn(DER)) == refusal


def test_it_is_asked_once_while_it_lasts_and_again_after(world: World) -> None:
    for _ in range(5):
        world.do(world.standings.learn(DER))
    assert world.asked == 1
    world.now_s += 101
    assert world.standings.refusal(DER)
    assert world.do(world.standings.learn(DER)) == ""
    assert world.asked == 2


def test_a_responder_that_is_away_is_asked_again_after_a_while_only(world: World) -> None:
    world.answer = None
    for _ in range(5):
        world.do(world.standings.learn(DER))
    assert world.asked == 1
    world.answer = "good"
    world.now_s += 5
    assert world.do(world.standings.learn(DER)) == ""


def test_whoever_is_in_use_is_asked_about_ahead_of_time_and_cut_when_revoked(world: World) -> None:
    world.do(world.standings.learn(DER))
    assert world.look(50) == ""
    assert world.asked == 1
    assert world.look(40) == ""
    assert (world.asked, world.changes) == (2, 0)
    world.answer = "revoked"
    assert world.look(90).startswith("is revoked")
    assert world.changes == 1


def test_what_still_stands_outlives_a_short_outage_and_not_a_long_one(world: World) -> None:
    world.do(world.standings.learn(DER))
    world.answer = None
    assert world.look(90) == ""
    assert world.changes == 0
    assert "the responder is away" in world.look(11)
    assert world.changes == 1


def test_whoever_is_not_in_use_is_forgotten(world: World) -> None:
    async def crowd() -> None:
        for number in range(5000):
            await world.standings.learn(number.to_bytes(2, "big"))

    world.lasts_s = 10_000
    asyncio.run(crowd())
    assert len(world.standings._known) == 4096
    world.now_s += 601
    asyncio.run(world.standings.look(world.changed))
    assert len(world.standings._known) == 0
