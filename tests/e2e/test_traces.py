"""Traces of a running engine and gate, as a collector on loopback gets them."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = needs_cli
PORT = 4318
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{PORT}")
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        with running_engine() as running:
            yield running


@pytest.fixture(scope="module")
def spans(engine: RunningEngine) -> Iterator[list[dict[str, Any]]]:
    """What a collector gets; there was none while the engine started."""
    found: list[dict[str, Any]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 - its name there
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in document["resourceSpans"]:
                attributes = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
                for span in resource["scopeSpans"][0]["spans"]:
                    found.append({**span, "process": attributes["tidegate.process"]["stringValue"]})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Into no log."""

    listener = engine.in_its_network(lambda: socket.create_server(("127.0.0.1", PORT)))
    server = HTTPServer(("127.0.0.1", PORT), Collector, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def ask(engine: RunningEngine, method: str, path: str, body: str | None = None) -> int:
    """A request in a trace, over mutual TLS; the answer's status."""
    certificates = engine.root / "data/pki/clients/admin"
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")

    def exchange() -> int:
        connection = http.client.HTTPSConnection("127.0.0.1", engine.port, context=context, timeout=30)
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    return engine.in_its_network(exchange)


def until(spans: list[dict[str, Any]], *names: str) -> dict[str, dict[str, Any]]:
    """The spans of our trace by process and name, once they are there."""
    deadline = time.monotonic() + 20
    while True:
        ours = {f"{each['process']} {each['name']}": each for each in spans if each["traceId"] == TRACE}
        if set(names) <= set(ours):
            return ours
        assert time.monotonic() < deadline, sorted(ours)
        time.sleep(0.05)


def test_a_collector_that_is_not_there_costs_a_line_in_the_log(engine: RunningEngine) -> None:
    assert ask(engine, "GET", "/v1.45/info") == 200
    deadline = time.monotonic() + 20
    while (engine.root / "log").read_text().count("traces are lost: the collector cannot be asked") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ask(engine, "GET", "/v1.45/info") == 200
    assert "Traceback" not in (engine.root / "log").read_text()


def test_a_client_s_trace_goes_through_gate_and_engine_to_what_is_done(
    engine: RunningEngine, spans: list[dict[str, Any]]
) -> None:
    assert engine.docker("create", "--name", "traced", "busybox", "true").returncode == 0
    assert ask(engine, "POST", "/v1.45/containers/traced/start") == 204
    names = ("gate ContainerStart", "gate decide", "engine ContainerStart", "engine container launch")
    ours = until(spans, *names)
    gate, decision, api, launch = (ours[name] for name in names)
    assert gate["parentSpanId"] == PARENT
    assert decision["parentSpanId"] == api["parentSpanId"] == gate["spanId"]
    assert launch["parentSpanId"] == api["spanId"]
    attributes = {each["key"]: next(iter(each["value"].values())) for each in gate["attributes"]}
    assert attributes["http.response.status_code"] == "204"
    assert int(gate["startTimeUnixNano"]) <= int(launch["startTimeUnixNano"]) < int(gate["endTimeUnixNano"])


def test_a_refusal_is_in_the_trace(engine: RunningEngine, spans: list[dict[str, Any]]) -> None:
    assert ask(engine, "POST", "/v1.45/containers/missing/stop") == 404
    ours = until(spans, "gate ContainerStop", "engine ContainerStop")
    status = next(each for each in ours["engine ContainerStop"]["attributes"] if each["key"].endswith("status_code"))
    assert (status["value"], "status" in ours["engine ContainerStop"]) == ({"intValue": "404"}, False)
