"""The page for Prometheus of a running engine and gate, read by Prometheus's own parser."""

import time
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = needs_cli
ADDRESS = "127.0.0.1:9323"


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine("--metrics-addr", ADDRESS, "--gate-workers", "2") as running:
        yield running


def figures(engine: RunningEngine) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """By name and labels."""

    def fetch() -> bytes:
        with urllib.request.urlopen(f"http://{ADDRESS}/metrics", timeout=10) as answer:
            return bytes(answer.read())

    families = text_string_to_metric_families(engine.in_its_network(fetch).decode())
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def labelled(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_what_was_done_is_counted(engine: RunningEngine) -> None:
    before = figures(engine)
    assert engine.docker("run", "-d", "--name", "one", "busybox", "sleep", "60").returncode == 0
    assert engine.docker("inspect", "missing").returncode != 0
    time.sleep(1.5)  # the other worker shows its tally every second
    after = figures(engine)

    def grown(name: str, **labels: str) -> float:
        key = labelled(name, **labels)
        return after[key] - before.get(key, 0)

    assert grown("tidegate_gate_requests_total", operation="ContainerStart", status="204") == 1
    assert grown("tidegate_gate_requests_total", operation="ContainerInspect", status="404") == 1
    assert grown("tidegate_gate_request_duration_seconds_count", operation="ContainerStart") == 1
    assert grown("tidegate_gate_decisions_total", role="admin", verdict="allowed") > 3
    assert grown("tidegate_gate_tls_handshakes_total") >= 2
    assert grown("engine_daemon_container_actions_seconds_count", action="create") == 1
    assert engine.docker("info").returncode == 0
    info = labelled("engine_daemon_host_info_functions_seconds_count", function="system_info")
    assert figures(engine)[info] > after[info]
    assert grown("engine_daemon_container_states_containers", state="running") == 1
    assert grown("engine_daemon_events_total") >= 2
    assert after[labelled("tidegate_engine_up")] == 1
    assert sum(value for (name, _), value in after.items() if name == "tidegate_gate_audit_position") > 3
    kinds = {
        dict(labels)["kind"]: value
        for (name, labels), value in after.items()
        if name == "tidegate_certificate_expiry_timestamp_seconds"
    }
    assert set(kinds) == {"ca", "server", "client"} and min(kinds.values()) > time.time()


def test_containers_have_figures_of_the_sampler(engine: RunningEngine) -> None:
    deadline = time.monotonic() + 20
    while not any(name == "tidegate_container_memory_bytes" for name, _ in figures(engine)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    found = {dict(labels)["name"]: value for (name, labels), value in figures(engine).items()
             if name == "tidegate_container_cpu_seconds_total"}  # fmt: skip
    assert found["one"] > 0


def test_lines_that_a_remote_log_had_to_drop_are_counted(engine: RunningEngine) -> None:
    options = ["--log-driver", "syslog", "--log-opt", "syslog-address=tcp://127.0.0.1:5141"]
    options += ["--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=1k"]
    assert engine.docker("run", "--name", "lossy", *options, "busybox", "seq", "1000").returncode == 0
    identity = engine.docker("inspect", "-f", "{{.Id}}", "lossy").stdout.strip()
    key = "tidegate_container_log_dropped_lines_total", frozenset({("id", identity), ("name", "lossy")})
    deadline = time.monotonic() + 20
    while not (dropped := figures(engine).get(key, 0)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert 900 < dropped < 1000
