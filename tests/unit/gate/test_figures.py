"""The gate's figures: counted by each worker, gathered from a board, shown as a page."""

import asyncio
import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidegate.gate.figures.board import PLACE_BYTES, Board, open_board
from tidegate.gate.figures.page import FiguresPage, certificate_families, tallies_of
from tidegate.gate.figures.tally import Tally
from tidegate.http.client import UnixClient
from tidegate.http.messages import Request, Response
from tidegate.pki.snapshot import ClientRecord, Snapshot


def values(page: bytes) -> dict[str, float]:
    """Samples as they are written: name and labels in order."""
    found = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def busy(times: int) -> Tally:
    tally = Tally(handshakes=times, streams=1, audit_position=10 * times)
    for _ in range(times):
        tally.answered("ContainerList", 200, 0.002)
        tally.decided("viewer", allowed=True)
    tally.answered("ContainerCreate", 403, 0.1)
    tally.decided("viewer", allowed=False)
    return tally


def asked(page: FiguresPage, target: str = "/metrics", method: str = "GET") -> tuple[int, bytes]:
    async def ask() -> Response:
        return await page.handle(Request(method, target))

    response = asyncio.run(ask())
    assert isinstance(response.body, bytes)
    return response.status, response.body


def test_workers_are_counted_together() -> None:
    fd = open_board(3)
    first, second = Board(fd, 3), Board(fd, 3)
    second.show(2, busy(2))
    gathered = tallies_of(first, 1, lambda: busy(1))()
    assert [tally.handshakes for tally in gathered] == [1, 2, 0]
    shown = values(asked(FiguresPage(lambda: gathered, lambda: Snapshot(generation=1), None))[1])
    assert shown["tidegate_gate_requests_total{operation=ContainerList,status=200}"] == 3
    assert shown["tidegate_gate_requests_total{operation=ContainerCreate,status=403}"] == 2
    assert shown["tidegate_gate_request_duration_seconds_count{operation=ContainerList}"] == 3
    assert shown["tidegate_gate_decisions_total{role=viewer,verdict=allowed}"] == 3
    assert shown["tidegate_gate_decisions_total{role=viewer,verdict=refused}"] == 2
    assert (shown["tidegate_gate_tls_handshakes_total{}"], shown["tidegate_gate_streams{}"]) == (3, 2)
    assert shown["tidegate_gate_audit_position{worker=2}"] == 20
    os.close(fd)


def test_a_place_that_is_being_written_shows_what_was_there_before() -> None:
    fd = open_board(2)
    board, other = Board(fd, 2), Board(fd, 2)
    other.show(2, busy(2))
    assert board.read()[1].handshakes == 2
    os.pwrite(fd, b"half", PLACE_BYTES + 20)
    assert board.read()[1].handshakes == 2
    os.close(fd)


def test_certificates_tell_when_they_end() -> None:
    clients = {
        "01": ClientRecord("alice", "admin", "f", 2_000_000_000),
        "02": ClientRecord("eve", "admin", "f", 2_000_000_000, revoked_at_s=1),
    }
    (family,) = certificate_families(Snapshot(generation=1, not_after_s=1_900_000_000, clients=clients))
    assert [(sample.labels["kind"], sample.labels["name"], sample.value) for sample in family.samples] == [
        ("server", "", 1_900_000_000), ("client", "alice", 2_000_000_000),
    ]  # fmt: skip


def test_an_engine_that_does_not_answer_is_told(tmp_path: Path) -> None:
    page = FiguresPage(lambda: [Tally()], lambda: Snapshot(generation=1), UnixClient(tmp_path / "missing.sock"))
    status, body = asked(page)
    assert (status, values(body)["tidegate_engine_up{}"]) == (200, 0)


@pytest.mark.parametrize(("method", "target"), [("GET", "/"), ("POST", "/metrics"), ("GET", "/v1.45/containers/json")])
def test_there_is_nothing_else(method: str, target: str) -> None:
    page = FiguresPage(lambda: [Tally()], lambda: Snapshot(generation=1), None)
    assert asked(page, target, method)[0] == 404
