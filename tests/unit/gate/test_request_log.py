"""The request log: a line for each request, written together a moment later."""

import asyncio
import json
import re

from tidegate.gate.request_log import Answered, RequestLog

ANSWERED = Answered("alice", "10.0.0.1:5", "GET", "ContainerList", 200, 1.2345)


def written(log_format: str, answered: Answered = ANSWERED) -> str:
    pieces: list[bytes] = []

    async def record() -> None:
        log = RequestLog(pieces.append, log_format)
        log.record(answered)
        assert pieces == []
        log.flush()
        log.flush()

    asyncio.run(record())
    (piece,) = pieces
    return piece.decode()


def test_as_text() -> None:
    line = written("text")
    assert re.fullmatch(r"[0-9-]{10} [0-9:]{8} gate alice 10\.0\.0\.1:5 GET ContainerList 200 1\.2ms\n", line)


def test_a_name_makes_no_line_of_its_own() -> None:
    named = ANSWERED._replace(principal="CN=a\n2026-01-01 00:00:00 gate CN=b\x1b[2J")
    assert "gate CN=a\\n2026-01-01 00:00:00 gate CN=b\\x1b[2J 10.0.0.1:5" in written("text", named)
    assert written("text", named).count("\n") == written("json", named).count("\n") == 1


def test_as_json_with_fields() -> None:
    document = json.loads(written("json"))
    assert document.pop("time").endswith("Z")
    assert document == {
        "level": "info", "msg": "ContainerList 200", "process": "gate", "logger": "tidegate.gate",
        "principal": "alice", "address": "10.0.0.1:5", "method": "GET", "operation": "ContainerList", "status": 200,
        "elapsed_ms": 1.234,
    }  # fmt: skip
