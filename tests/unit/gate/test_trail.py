"""Strangers leave a bounded trail: what is refused to them is recorded up to a budget, and counted beyond it."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tidegate.access.principal import CertificatePrincipal, Principal, UnknownPrincipal
from tidegate.gate.audit import trail as trails
from tidegate.gate.audit.line_budget import LineBudget
from tidegate.gate.audit.log import AuditLog
from tidegate.gate.audit.sinks import FileSink
from tidegate.gate.audit.trail import Trail
from tidegate.gate.doors import Door
from tidegate.gate.live import Identity
from tidegate.gate.request_log import RequestLog
from tidegate.http.messages import Peer, ProtocolError, Request
from tidegate.spec.audit.chain import genesis

STRANGER = Identity(UnknownPrincipal("10.0.0.1:5"), refusal="no certificate")


def test_a_budget_refills_slowly_and_to_its_brim() -> None:
    now_s = [0.0]
    budget = LineBudget(lambda: now_s[0], 1000.0, 900.0)
    assert budget.take(900)
    assert not budget.take(900)
    now_s[0] = 1.0
    assert budget.take(1000)
    now_s[0] = 1e9
    assert budget.take(1000)
    assert not budget.take(1)
    assert budget.suppressed == 2
    budget.told(2)
    assert budget.suppressed == 0
    now_s[0] = 0.0
    assert not budget.take(1)  # a clock that goes back gives nothing


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def open_trail(tmp_path: Path, now_s: list[float]) -> Trail:
    fd = os.open(tmp_path / "audit", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return Trail(AuditLog("k/gate-1", genesis("k/gate-1"), FileSink(fd)), RequestLog(None), lambda: now_s[0])


def request(principal: Principal) -> tuple[Identity, Request]:
    identity = STRANGER if isinstance(principal, UnknownPrincipal) else Identity(principal)
    return identity, Request("GET", "/info", peer=Peer("10.0.0.1:5"))


def test_refused_strangers_are_counted_beyond_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trails, "BUDGET_BYTES", 5100)
    now_s = [0.0]

    async def main() -> None:
        trail = open_trail(tmp_path, now_s)
        for _ in range(30):
            entry = trail.open(Door("tls"), *request(STRANGER.principal))
            await entry.refuse("identity", "no certificate")
            entry.close(401)
        now_s[0] = 10.0
        entry = trail.open(Door("tls"), *request(STRANGER.principal))
        await entry.refuse("identity", "no certificate")
        entry = trail.open(Door("tls"), *request(STRANGER.principal))
        await entry.refuse("unreadable", "not JSON")  # of somebody who was let in: always
        await trail.audit.close()

    asyncio.run(main())
    decisions = [line for line in lines(tmp_path / "audit") if line["kind"] == "decision"]
    assert [line.get("suppressed", 0) for line in decisions] == [0] * 5 + [25, 0]
    assert decisions[-1]["rule"] == "unreadable"
    assert len(lines(tmp_path / "audit")) == 5 * 2 + 2  # no outcome for what was not decided on record


def test_strangers_who_want_to_join_are_held_back_and_clients_who_renew_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trails, "BUDGET_BYTES", 2100)
    client = CertificatePrincipal("alice", (), (), (), "0A")

    async def main() -> None:
        trail = open_trail(tmp_path, [0.0])
        for _ in range(2):
            await trail.open(Door("tls"), *request(STRANGER.principal)).allow("enrolment")
        with pytest.raises(ProtocolError, match="too many strangers") as refused:
            await trail.open(Door("tls"), *request(STRANGER.principal)).allow("enrolment")
        assert refused.value.status == 429
        await trail.open(Door("tls"), *request(client)).allow("enrolment")
        await trail.audit.close()

    asyncio.run(main())
    assert len(lines(tmp_path / "audit")) == 3
