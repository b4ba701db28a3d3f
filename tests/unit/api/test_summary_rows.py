"""Rows of the list, remembered until something of them changes."""

import json
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tidegate.api.profile import decide_profile
from tidegate.api.views.summary_rows import SummaryRows
from tidegate.engine.ports import BridgeAttachment, PortPublication
from tidegate.model.container import Container
from tidegate.model.health import Health
from tidegate.model.phases import Phase, State

NEWEST = decide_profile(None)
SECOND = 1_000_000_000
RUNNING = Container("a" * 64, "web", SECOND, "busybox", "sha256:1", state=State(Phase.RUNNING, started_at_ns=SECOND))
ADDRESS = BridgeAttachment(
    RUNNING.id, "172.18.0.2", 16, "172.18.0.1", "02:42", (PortPublication(80, "tcp", "0.0.0.0", 8080),)
)


def volume_path(name: str) -> Path:
    return Path("/volumes") / name / "_data"


def shown(row: msgspec.Raw) -> dict[str, object]:
    return dict(json.loads(bytes(row)))


def test_a_row_is_encoded_anew_only_when_something_of_it_changed() -> None:
    rows = SummaryRows(lambda name: f"id of {name}", volume_path)
    first = rows.row(RUNNING, ADDRESS, 5 * SECOND, (), NEWEST)
    assert rows.row(RUNNING, ADDRESS, 5 * SECOND, (), NEWEST) is first
    assert shown(first)["Status"] == "Up 4 seconds"
    assert shown(first)["Ports"] == [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]
    assert shown(rows.row(RUNNING, ADDRESS, 9 * SECOND, (), NEWEST))["Status"] == "Up 8 seconds"
    assert shown(rows.row(replace(RUNNING, name="new"), ADDRESS, 9 * SECOND, (), NEWEST))["Names"] == ["/new"]
    assert shown(rows.row(RUNNING, None, 9 * SECOND, (), NEWEST))["Ports"] == []


def test_rows_of_containers_that_are_gone_are_forgotten() -> None:
    rows = SummaryRows(lambda name: f"id of {name}", volume_path)
    first = rows.row(RUNNING, None, SECOND, (), NEWEST)
    rows.keep_only(set())
    assert rows.row(RUNNING, None, SECOND, (), NEWEST) is not first


def test_health_is_shown_in_the_status_and_beside_it() -> None:
    rows = SummaryRows(lambda name: name, volume_path)

    def row(state: State) -> tuple[object, object]:
        view = shown(rows.row(replace(RUNNING, state=state), None, 5 * SECOND, (), NEWEST))
        return view["Status"], view["Health"]

    up = RUNNING.state
    assert row(up) == ("Up 4 seconds", {"Status": "none", "FailingStreak": 0})
    starting = row(replace(up, health=Health("starting", 1)))
    assert starting == ("Up 4 seconds (health: starting)", {"Status": "starting", "FailingStreak": 1})
    assert row(replace(up, health=Health("healthy")))[0] == "Up 4 seconds (healthy)"
    assert row(replace(up, phase=Phase.PAUSED, health=Health("healthy")))[0] == "Up 4 seconds (Paused)"
    assert row(replace(up, phase=Phase.EXITED, health=Health("unhealthy")))[1] == {"Status": "none", "FailingStreak": 0}


def test_older_clients_have_rows_of_their_own_shape() -> None:
    rows = SummaryRows(lambda name: name, volume_path)
    old, older = decide_profile("1.51"), decide_profile("1.50")
    assert "Health" in shown(rows.row(RUNNING, None, SECOND, (), NEWEST))
    assert "Health" not in shown(rows.row(RUNNING, None, SECOND, (), old))
    assert rows.row(RUNNING, None, SECOND, (), old) is rows.row(RUNNING, None, SECOND, (), older)
