"""Spans on their way to a collector, on loopback."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

import pytest

from tidegate.base.tracing.settings import TracingSettings
from tidegate.base.tracing.spans import SpanKind, Tracer
from tidegate.http.trace_export import TraceExporter, connect_to


def exported(
    answer: bytes, scenario: Callable[[Tracer, TraceExporter], Awaitable[None]], timeout_s: float = 5.0
) -> list[tuple[bytes, bytes]]:
    """(head, body) of each request that a collector got; it says ``answer`` each time, or nothing."""
    seen: list[tuple[bytes, bytes]] = []

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length")).split()[1]
        seen.append((head, await reader.readexactly(int(length))))
        if answer:
            writer.write(answer)
            writer.close()

    async def play() -> None:
        server = await asyncio.start_server(collect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = TracingSettings(
            host="127.0.0.1", port=port, path="/v1/traces", headers={"x-key": "k"}, timeout_s=timeout_s, most_at_once=2
        )
        tracer = Tracer()
        await scenario(tracer, TraceExporter(tracer, settings, "engine", connect_to("127.0.0.1", port)))
        server.close()

    asyncio.run(play())
    return seen


def end_some(tracer: Tracer, names: str) -> None:
    for name in names:
        tracer.end(tracer.begin(name, SpanKind.SERVER, None))


def test_batches_go_as_json() -> None:
    async def scenario(tracer: Tracer, exporter: TraceExporter) -> None:
        end_some(tracer, "abc")
        await exporter.flush()

    first, second = exported(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", scenario)
    assert first[0].startswith(b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Content-Type: application/json\r\nx-key: k\r\n" in first[0]
    names = [
        [span["name"] for span in json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]]
        for _, body in (first, second)
    ]
    assert names == [["a", "b"], ["c"]]
    attributes = json.loads(first[1])["resourceSpans"][0]["resource"]["attributes"]
    assert {"key": "tidegate.process", "value": {"stringValue": "engine"}} in attributes


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "the collector answered 503"),
        (b"SSH-2.0-x\r\n", "it does not speak HTTP"),
        (b"", "TimeoutError"),
    ],
)
def test_a_collector_that_does_not_take_them_costs_the_spans_and_one_line(
    answer: bytes, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(tracer: Tracer, exporter: TraceExporter) -> None:
        for _ in range(2):
            end_some(tracer, "a")
            await exporter.flush()
        assert tracer.take(1) == []

    with caplog.at_level(logging.WARNING):
        exported(answer, scenario, timeout_s=0.05)
    assert [record.getMessage() for record in caplog.records if told in record.getMessage()]
    assert len(caplog.records) == 1


def test_a_collector_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        tracer = Tracer()
        settings = TracingSettings(host="127.0.0.1", port=1, path="/")
        end_some(tracer, "a")
        await TraceExporter(tracer, settings, "gate", connect_to("127.0.0.1", 1)).flush()

    asyncio.run(play())
    assert "traces are lost: the collector cannot be asked" in caplog.text


def test_the_end_of_a_process_does_not_wait_for_a_collector_that_is_silent() -> None:
    async def scenario(tracer: Tracer, exporter: TraceExporter) -> None:
        end_some(tracer, "a")
        began_s = asyncio.get_running_loop().time()
        await exporter.close()
        assert asyncio.get_running_loop().time() - began_s < 3

    assert len(exported(b"", scenario, timeout_s=60.0)) == 1
