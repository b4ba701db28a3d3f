"""A decision is written before it counts; what cannot be written is refused, and nothing of the chain is lost."""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tidegate.base.errors import UnavailableError
from tidegate.gate.audit import log as audit
from tidegate.gate.audit.log import AuditLog, AuditUnavailableError
from tidegate.gate.audit.sinks import DatagramSink, FileSink, SyslogFormat, journal_entry
from tidegate.spec.audit.chain import Head, genesis, parse_line
from tidegate.spec.audit.records import Checkpoint, Decision, Outcome, Segment
from tidegate.spec.audit.verify import MOST_UNSIGNED_LINES, Walk, pieces_of

CHAIN = "00112233aabbccdd/gate-0"
LIST = Decision("CN=alice", "ContainerList", True, "admin")


class Disk:
    """What stands for write(2): records calls, takes at most ``room`` bytes, fails when there is none."""

    def __init__(self, room: int = 10**9, most: int = 10**9) -> None:
        self.room = room
        self.most = most
        self.calls: list[bytes] = []

    def write(self, _fd: int, data: bytes) -> int:
        taken = data[: min(self.room, self.most)]
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(taken)
        self.calls.append(taken)
        return len(taken)

    @property
    def content(self) -> bytes:
        return b"".join(self.calls)


def log_on(disk: Disk, file_bytes: int = 10**9) -> AuditLog:
    fd = os.memfd_create("audit")
    return AuditLog(CHAIN, genesis(CHAIN), FileSink(fd, 0, disk.write), lambda: 1, file_bytes)


def kinds(content: bytes) -> list[str]:
    lines = [parse_line(raw) for raw in content.splitlines()]
    return [line.kind for line in lines]


def assert_whole(content: bytes) -> None:
    walk = Walk(CHAIN, lambda _message, _signature: True).run(pieces_of("f", [content]))
    assert walk.findings == []


async def sign(_chain: str, seq: int, head: str) -> Checkpoint:
    return Checkpoint(seq, head, "t", "k", "s")


def test_a_decision_is_on_disk_when_it_returns() -> None:
    async def scenario() -> None:
        disk = Disk()
        log = log_on(disk)
        log.begin(Segment("genesis"))
        seq = await log.decision(LIST)
        assert seq == 2
        assert kinds(disk.content) == ["segment", "decision"]
        log.outcome(Outcome(seq, 200, 1.5, object="abc"))
        await log.close()
        assert kinds(disk.content) == ["segment", "decision", "outcome"]
        assert b'"of":2,"status":200,"elapsed_ms":1.5,"object":"abc"' in disk.content
        assert_whole(disk.content)

    asyncio.run(scenario())


def test_the_lines_of_one_turn_are_one_write() -> None:
    async def scenario() -> None:
        disk = Disk()
        log = log_on(disk)
        numbers = await asyncio.gather(*(log.decision(LIST) for _ in range(100)))
        assert numbers == list(range(1, 101))
        assert len(disk.calls) == 1
        await log.close()

    asyncio.run(scenario())


def test_short_writes_are_gone_on_with() -> None:
    async def scenario() -> None:
        disk = Disk(most=7)
        log = log_on(disk)
        await asyncio.gather(*(log.decision(LIST) for _ in range(5)))
        assert_whole(disk.content)
        assert len(kinds(disk.content)) == 5
        await log.close()

    asyncio.run(scenario())


def test_a_full_disk_refuses_and_loses_no_line_of_the_chain() -> None:
    async def scenario() -> None:
        disk = Disk(room=900)
        log = log_on(disk)
        await log.decision(LIST)
        log.outcome(Outcome(1, 200, 1.0))  # carried out before the disk was full
        answers = await asyncio.gather(*(log.decision(LIST) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [AuditUnavailableError] * 3
        assert "No space left on device" in str(answers[0])
        head = log.head
        for _ in range(10):
            with pytest.raises(UnavailableError):
                await log.decision(LIST)
        assert log.head == head  # nothing is taken up while something waits
        disk.room = 10**9
        assert await log.decision(LIST) == 9
        assert kinds(disk.content) == ["decision", "outcome", *["decision"] * 3, *["outcome"] * 3, "decision"]
        assert disk.content.count(b"the audit could not be written") == 3
        assert_whole(disk.content)
        await log.close()

    asyncio.run(scenario())


def test_a_closed_descriptor_refuses() -> None:
    async def scenario() -> None:
        fd = os.open(os.devnull, os.O_WRONLY)
        log = AuditLog(CHAIN, genesis(CHAIN), FileSink(fd))
        os.close(fd)
        with pytest.raises(UnavailableError, match="Bad file descriptor"):
            await log.decision(LIST)
        with pytest.raises(UnavailableError, match="Bad file descriptor"):
            log.begin(Segment("genesis"))

    asyncio.run(scenario())


def test_a_client_that_goes_away_leaves_the_line() -> None:
    async def scenario() -> None:
        disk = Disk()
        log = log_on(disk)
        tasks = [asyncio.ensure_future(log.decision(LIST)) for _ in range(2)]
        asyncio.get_running_loop().call_soon(tasks[0].cancel)
        await asyncio.wait(tasks)
        assert tasks[1].result() == 2
        assert_whole(disk.content)
        await log.close()

    asyncio.run(scenario())


async def until(ready: Callable[[], bool]) -> None:
    while not ready():
        await asyncio.sleep(0)


def test_the_head_is_signed_every_so_many_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CHECKPOINT_LINES", 10)

    async def scenario() -> None:
        disk = Disk()
        log = log_on(disk)
        keeper = asyncio.ensure_future(log.keep(sign))
        await asyncio.gather(*(log.decision(LIST) for _ in range(10)))
        async with asyncio.timeout(5):
            await until(lambda: "checkpoint" in kinds(disk.content))
        keeper.cancel()
        await asyncio.wait([keeper])
        head = log.head
        await log.close(sign)
        assert log.head == head  # nothing new, nothing to sign
        assert b'"kind":"checkpoint","of":10,' in disk.content
        assert_whole(disk.content)

    asyncio.run(scenario())


def test_closing_has_the_last_lines_signed() -> None:
    async def scenario() -> None:
        disk = Disk()
        log = log_on(disk)
        await log.decision(LIST)
        await log.close(sign)
        assert kinds(disk.content) == ["decision", "checkpoint"]

    asyncio.run(scenario())


def test_a_signer_that_stays_away_stops_requests_before_the_audit_is_worthless() -> None:
    async def scenario() -> None:
        disk = Disk()
        log = log_on(disk)

        async def away(_chain: str, _seq: int, _head: str) -> Checkpoint:
            raise UnavailableError("no registrar")

        keeper = asyncio.ensure_future(log.keep(away))
        await asyncio.gather(*(log.decision(LIST) for _ in range(MOST_UNSIGNED_LINES // 2)))
        with pytest.raises(UnavailableError, match="signer does not answer"):
            await log.decision(LIST)
        keeper.cancel()
        await asyncio.wait([keeper])
        await log.close(away)
        assert len(kinds(disk.content)) < MOST_UNSIGNED_LINES

    asyncio.run(scenario())


def test_a_full_file_is_followed_by_another_and_the_chain_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        sink = FileSink(os.open(tmp_path / "1", flags))
        log = AuditLog(CHAIN, genesis(CHAIN), sink, lambda: 1, file_bytes=2000)
        names = iter("23456789")

        async def next_file() -> int:
            return os.open(tmp_path / next(names), flags)

        keeper = asyncio.ensure_future(log.keep(sign, next_file))
        async with asyncio.timeout(5):
            while not (tmp_path / "3").exists():
                await log.decision(LIST)
        keeper.cancel()
        await asyncio.wait([keeper])
        await log.close(sign)
        files = sorted(tmp_path.iterdir())
        assert [parse_line(path.read_bytes().split(b"\n")[0]).kind for path in files] == [
            "decision",
            "segment",
            "segment",
        ]
        assert_whole(b"".join(path.read_bytes() for path in files))

    asyncio.run(scenario())


def test_a_file_that_cannot_be_followed_is_written_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = Disk()
        log = log_on(disk, file_bytes=1)
        asked = 0

        async def none() -> int:
            nonlocal asked
            asked += 1
            raise OSError(errno.ENOSPC, "no space")

        keeper = asyncio.ensure_future(log.keep(sign, none))
        async with asyncio.timeout(5):
            while not asked:
                await log.decision(LIST)
        await log.decision(LIST)
        keeper.cancel()
        await asyncio.wait([keeper])
        assert_whole(disk.content)
        await log.close()

    asyncio.run(scenario())


def with_daemon(tmp_path: Path, scenario: Callable[[Path, Callable[[], socket.socket]], Awaitable[None]]) -> None:
    """``scenario`` gets the path of a log daemon's socket, and what binds it anew."""
    path = tmp_path / "socket"

    def listen() -> socket.socket:
        path.unlink(missing_ok=True)
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        daemon.bind(str(path))
        return daemon

    asyncio.run(scenario(path, listen))


def received(daemon: socket.socket) -> list[bytes]:
    out = []
    while True:
        try:
            out.append(daemon.recv(1 << 20))
        except BlockingIOError:
            return out


def test_the_journal_gets_entries_that_can_be_verified(tmp_path: Path) -> None:
    async def scenario(path: Path, listen: Callable[[], socket.socket]) -> None:
        daemon = listen()
        log = AuditLog(CHAIN, genesis(CHAIN), DatagramSink(path, journal_entry))
        for _ in range(3):
            await log.decision(LIST)
        entries = received(daemon)
        assert entries[1].startswith(b"PRIORITY=6\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=tidegate-audit\n")
        assert b"TIDEGATE_AUDIT_SEQ=2\n" in entries[1]
        assert_whole(b"".join(entry.partition(b"MESSAGE=")[2] for entry in entries))
        await log.close()
        daemon.close()

    with_daemon(tmp_path, scenario)


def test_syslog_gets_rfc_5424(tmp_path: Path) -> None:
    async def scenario(path: Path, listen: Callable[[], socket.socket]) -> None:
        daemon = listen()
        log = AuditLog(CHAIN, genesis(CHAIN), DatagramSink(path, SyslogFormat("host", 42)), lambda: 1_500_000_000)
        await log.decision(LIST)
        (entry,) = received(daemon)
        assert entry.startswith(b"<86>1 1970-01-01T00:00:01.500000Z host tidegate-audit 42 decision - {")
        await log.close()
        daemon.close()

    with_daemon(tmp_path, scenario)


def test_a_log_daemon_that_is_gone_refuses_and_one_that_returns_gets_everything(tmp_path: Path) -> None:
    async def scenario(path: Path, listen: Callable[[], socket.socket]) -> None:
        daemon = listen()
        log = AuditLog(CHAIN, genesis(CHAIN), DatagramSink(path, journal_entry))
        await log.decision(LIST)
        first = received(daemon)
        daemon.close()
        for _ in range(2):
            with pytest.raises(UnavailableError, match="Connection refused"):
                await log.decision(LIST)
        daemon = listen()
        await log.decision(LIST)
        entries = [*first, *received(daemon)]
        assert_whole(b"".join(entry.partition(b"MESSAGE=")[2] for entry in entries))
        assert len(entries) == 4
        await log.close()
        daemon.close()

    with_daemon(tmp_path, scenario)


def test_a_log_daemon_that_does_not_read_refuses(tmp_path: Path) -> None:
    async def scenario(path: Path, listen: Callable[[], socket.socket]) -> None:
        daemon = listen()
        log = AuditLog(CHAIN, genesis(CHAIN), DatagramSink(path, journal_entry))
        with pytest.raises(UnavailableError, match="Resource temporarily unavailable"):
            for _ in range(100_000):
                await log.decision(LIST)
        await log.close()
        daemon.close()

    with_daemon(tmp_path, scenario)


def test_a_sink_without_a_listener_says_where(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory: .*nothing"):
        DatagramSink(tmp_path / "nothing", journal_entry)


def test_a_chain_goes_on_from_a_head() -> None:
    lines: list[bytes] = []

    class Lines(FileSink):
        def write(self, given: Sequence[bytes]) -> None:  # type: ignore[override]
            lines.extend(given)

    log = AuditLog(CHAIN, Head(41, "a" * 64), Lines(os.open(os.devnull, os.O_WRONLY)), lambda: 1)
    log.begin(Segment("started", 7))
    line = parse_line(lines[0][:-1])
    assert (line.seq, line.prev) == (42, "a" * 64)
    asyncio.run(log.close())
