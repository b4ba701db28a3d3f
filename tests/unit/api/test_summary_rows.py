"""Rows of the list, remembered until something of them changes."""

import json

import msgspec
from msgspec.structs import replace

from tidegate.api.views.summary_rows import SummaryRows
from tidegate.engine.ports import BridgeAttachment, PortPublication
from tidegate.model.container import Container
from tidegate.model.phases import Phase, State

SECOND = 1_000_000_000
RUNNING = Container("a" * 64, "web", SECOND, "busybox", "sha256:1", state=State(Phase.RUNNING, started_at_ns=SECOND))
ADDRESS = BridgeAttachment(
    RUNNING.id, "172.18.0.2", 16, "172.18.0.1", "02:42", (PortPublication(80, "tcp", "0.0.0.0", 8080),)
)


def shown(row: msgspec.Raw) -> dict[str, object]:
    return dict(json.loads(bytes(row)))


def test_a_row_is_encoded_anew_only_when_something_of_it_changed() -> None:
    rows = SummaryRows(lambda name: f"id of {name}")
    first = rows.row(RUNNING, ADDRESS, 5 * SECOND)
    assert rows.row(RUNNING, ADDRESS, 5 * SECOND) is first
    assert shown(first)["Status"] == "Up 4 seconds"
    assert shown(first)["Ports"] == [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]
    assert shown(rows.row(RUNNING, ADDRESS, 9 * SECOND))["Status"] == "Up 8 seconds"
    assert shown(rows.row(replace(RUNNING, name="new"), ADDRESS, 9 * SECOND))["Names"] == ["/new"]
    assert shown(rows.row(RUNNING, None, 9 * SECOND))["Ports"] == []


def test_rows_of_containers_that_are_gone_are_forgotten() -> None:
    rows = SummaryRows(lambda name: f"id of {name}")
    first = rows.row(RUNNING, None, SECOND)
    rows.keep_only(set())
    assert rows.row(RUNNING, None, SECOND) is not first
