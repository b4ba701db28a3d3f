"""A shipper on a remote that fails as it is told: what is sent again, given up, and deleted."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.drivers.logs.remote_logs import append, lines, remote_log

from tidegate.drivers.logs.forwarding import shipper as shippers
from tidegate.drivers.logs.forwarding.places import Assignment, Places, Stage
from tidegate.drivers.logs.forwarding.shipper import Shipper
from tidegate.drivers.logs.forwarding.spool import read_position
from tidegate.drivers.logs.remotes.messages import Message
from tidegate.engine.logging.plans import Retries, plan_retries
from tidegate.engine.logging.remote import RemoteLog

ID = "c" * 64


class FakeRemote:
    """Fails as often as it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.failures = 0
        self.closed = 0

    def __call__(self, log: RemoteLog) -> "FakeRemote":
        return self

    async def send(self, messages: Sequence[Message]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError("nobody listens")
        self.texts += [message.text for message in messages]

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "logs")
    made.make()
    return made


def ship(places: Places, remote: FakeRemote, stage: Stage = Stage.ENDED, since_s: float = 0, **options: str) -> None:
    limit = options.pop("limit", None)
    log = replace(remote_log(**options), limit_bytes=None if limit is None else int(limit))
    assignment = Assignment(log, stage, since_s)
    places.write(ID, assignment)
    asyncio.run(Shipper(places, ID, assignment, {"syslog": remote}).run())


def dropped(places: Places) -> int:
    return read_position(places.position(ID)).dropped


def test_everything_is_sent_and_nothing_twice(places: Places) -> None:
    append(places.log(ID), 1, 2)
    remote = FakeRemote()
    ship(places, remote)
    append(places.log(ID), 3)
    ship(places, remote)
    assert remote.texts == ["line 1", "line 2", "line 3"] and remote.closed == 2


def test_a_container_that_runs_is_followed(places: Places) -> None:
    remote = FakeRemote()
    append(places.log(ID), 1)

    async def main() -> None:
        shipper = Shipper(places, ID, Assignment(remote_log(), Stage.RUNNING, 0), {"syslog": remote})
        task = asyncio.create_task(shipper.run())
        await asyncio.sleep(0)
        append(places.log(ID), 2)
        shipper.wake()
        await asyncio.sleep(0)
        shipper.assign(Assignment(remote_log(), Stage.ENDED, 0))
        await task

    asyncio.run(main())
    assert remote.texts == ["line 1", "line 2"]


def test_what_failed_is_sent_again(places: Places) -> None:
    append(places.log(ID), 1, 2)
    remote = FakeRemote()
    remote.failures = 2
    ship(places, remote, gelf_tcp_reconnect_delay="0")
    assert remote.texts == ["line 1", "line 2"] and dropped(places) == 0


def test_what_failed_too_often_is_dropped_and_counted(places: Places) -> None:
    append(places.log(ID), 1, 2)
    remote = FakeRemote()
    remote.failures = 2
    ship(places, remote, fluentd_max_retries="1", fluentd_retry_wait="0s")
    assert remote.texts == [] and dropped(places) == 2


def test_beyond_its_limit_the_oldest_lines_are_dropped(places: Places) -> None:
    append(places.log(ID), *range(10, 20))
    remote = FakeRemote()
    ship(places, remote, limit=str(2 * len(lines(10))))
    assert remote.texts == ["line 18", "line 19"] and dropped(places) == 8


def test_the_log_of_a_removed_container_goes_when_it_is_sent(places: Places) -> None:
    append(places.log(ID), 1)
    append(places.log(ID).with_name(f"{ID}.log.1"), 0)
    remote = FakeRemote()
    ship(places, remote, Stage.REMOVED, time.time())
    assert remote.texts == ["line 0", "line 1"]
    assert [path for path in places.root.rglob("*") if path.is_file()] == []


def test_the_log_of_a_removed_container_does_not_wait_for_ever(places: Places) -> None:
    append(places.log(ID), 1)
    remote = FakeRemote()
    remote.failures = 1
    ship(places, remote, Stage.REMOVED, time.time() - shippers.REMOVED_LIMIT_S - 1)
    assert remote.texts == [] and not places.log(ID).exists()


def test_pauses() -> None:
    assert plan_retries({}) == Retries(None, 0.1, 5.0)
    assert [plan_retries({}).pause_s(n) for n in (1, 2, 3, 50)] == [0.1, 0.2, 0.4, 5.0]
    assert plan_retries({"gelf-tcp-max-reconnect": "3", "gelf-tcp-reconnect-delay": "2"}) == Retries(3, 2, 2)
    assert plan_retries({"fluentd-max-retries": "4", "fluentd-retry-wait": "500ms"}) == Retries(4, 0.5, 5.0)
    assert plan_retries({"fluentd-async-reconnect-interval": "1s"}) == Retries(None, 1, 1)
