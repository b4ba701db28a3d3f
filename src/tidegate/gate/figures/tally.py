"""What a worker counts, if figures are asked for at all: requests, decisions, handshakes, streams.

Labels are few by nature: operations of the catalogue, statuses, roles. No client, object or address is among them.
"""

from collections.abc import Iterable

import msgspec

from tidegate.base.exposition import Family, Sample, Spread


class Tally(msgspec.Struct):
    """Of one worker; ``answers`` by operation and status, ``times`` by operation, ``decisions`` by role and verdict."""

    answers: dict[str, dict[int, int]] = {}
    times: dict[str, Spread] = {}
    decisions: dict[str, dict[str, int]] = {}
    handshakes: int = 0
    failed_handshakes: int = 0
    cut: int = 0
    connections: int = 0
    streams: int = 0
    audit_position: int = 0

    def answered(self, operation: str, status: int, elapsed_s: float) -> None:
        """A request has its answer, or the beginning of it."""
        by_status = self.answers.setdefault(operation, {})
        by_status[status] = by_status.get(status, 0) + 1
        self.times.setdefault(operation, Spread()).add(elapsed_s)

    def decided(self, role: str, allowed: bool) -> None:
        """A request was allowed or refused."""
        by_verdict = self.decisions.setdefault(role, {})
        verdict = "allowed" if allowed else "refused"
        by_verdict[verdict] = by_verdict.get(verdict, 0) + 1


def tally_families(tallies: Iterable[Tally]) -> Iterable[Family]:
    """Of all workers together; the position of each one's audit apart, by its number from 1 on."""
    workers = list(tallies)
    yield Family("tidegate_gate_requests_total", "counter", "Requests answered.", _answers(workers))
    yield Family("tidegate_gate_request_duration_seconds", "histogram", "Time until an answer begins.", _times(workers))
    yield Family("tidegate_gate_decisions_total", "counter", "Requests allowed and refused.", _decisions(workers))
    totals = (
        ("tls_handshakes_total", "counter", "TLS handshakes that were completed.", "handshakes"),
        ("tls_handshake_failures_total", "counter", "TLS handshakes that failed.", "failed_handshakes"),
        ("connections_cut_total", "counter", "Connections cut: expired, revoked, or no longer allowed.", "cut"),
        ("connections", "gauge", "Connections that are open and have sent a request.", "connections"),
        ("streams", "gauge", "Streams that are open: attached, executed, followed.", "streams"),
    )
    for name, kind, text, field in totals:
        total = sum(getattr(worker, field) for worker in workers)
        yield Family(f"tidegate_gate_{name}", kind, text, [Sample({}, total)])
    positions = [
        Sample({"worker": str(number)}, worker.audit_position) for number, worker in enumerate(workers, start=1)
    ]
    yield Family("tidegate_gate_audit_position", "gauge", "Number of the newest line of the audit.", positions)


def _answers(workers: Iterable[Tally]) -> list[Sample]:
    totals: dict[tuple[str, int], int] = {}
    for worker in workers:
        for operation, by_status in worker.answers.items():
            for status, count in by_status.items():
                totals[operation, status] = totals.get((operation, status), 0) + count
    return [
        Sample({"operation": operation, "status": str(status)}, count)
        for (operation, status), count in sorted(totals.items())
    ]


def _times(workers: Iterable[Tally]) -> list[Sample]:
    totals: dict[str, Spread] = {}
    for worker in workers:
        for operation, times in worker.times.items():
            totals.setdefault(operation, Spread()).merge(times)
    return [sample for operation in sorted(totals) for sample in totals[operation].samples({"operation": operation})]


def _decisions(workers: Iterable[Tally]) -> list[Sample]:
    totals: dict[tuple[str, str], int] = {}
    for worker in workers:
        for role, by_verdict in worker.decisions.items():
            for verdict, count in by_verdict.items():
                totals[role, verdict] = totals.get((role, verdict), 0) + count
    return [Sample({"role": role, "verdict": verdict}, count) for (role, verdict), count in sorted(totals.items())]
