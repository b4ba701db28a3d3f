"""Every known attack is denied to every role but admin; nothing of an everyday session is denied to a developer.

Requests pass the gate's own reading and decision. What the decision leaves to ownership counts as denied when the
request names ``victim``, somebody else's container, and as allowed in a session, whose objects are the client's own.
"""

import asyncio
import json
from pathlib import Path

import pytest
from tests.corpus.attacks import ATTACKS, Attack

from tidegate.access.decision import decide
from tidegate.access.policy import Policy, built_in_policy
from tidegate.access.principal import CertificatePrincipal
from tidegate.access.verdict import Verdict
from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.gate.reading import find_operation, read_request
from tidegate.http.head import parse_request_head
from tidegate.http.messages import BytesBody, Headers, ProtocolError, Request

CONFINED_ROLES = ("viewer", "operator", "developer", "ci")
SESSIONS = sorted((Path(__file__).parent / "sessions").glob("*.jsonl"))
POLICY: Policy = built_in_policy()
PRINCIPAL = CertificatePrincipal("eve", (), (), (), "0A")
# BuildKit's own protocol is not in the specification, and only an administrator's (docs/policy.md).
_NOT_DECIDED_HERE = frozenset({"/grpc"})


def verdict(role: str, method: str, target: str, body: bytes) -> Verdict:
    """Raises what the gate raises for what it cannot read."""
    raw = f"{method} {target} HTTP/1.1\r\nhost: d\r\n\r\n".encode()
    head = parse_request_head(raw, 100)
    headers = Headers([("content-type", "application/json"), ("content-length", str(len(body)))] if body else [])
    request = Request(head.method, head.target, headers, BytesBody(body))
    found, raw_query = find_operation(request)
    return decide(POLICY, PRINCIPAL, role, asyncio.run(read_request(request, found, raw_query)).asked)


def is_denied(role: str, attack: Attack) -> bool:
    try:
        found = verdict(role, attack.method, attack.target, attack.body)
    except (InvalidParameterError, NotFoundError, ProtocolError):
        return True
    return not found.allowed or any(reference.name_or_id == "victim" for reference in found.must_own)


@pytest.mark.parametrize("role", CONFINED_ROLES)
def test_no_attack_is_allowed(role: str) -> None:
    assert len(set(ATTACKS)) >= 300
    assert [str(attack) for attack in ATTACKS if not is_denied(role, attack)] == []


def test_an_administrator_is_denied_only_what_cannot_be_read_for_certain() -> None:
    denied = {attack.origin.partition(":")[0] for attack in ATTACKS if is_denied("admin", attack)}
    assert denied <= {"spelling", "spelling of the target", "gRPC of BuildKit", "h2c preface"}


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_an_everyday_session_is_a_developers(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) > 50
    denied = []
    for line in lines:
        if line["target"].partition("?")[0] in _NOT_DECIDED_HERE:
            continue
        found = verdict("developer", line["method"], line["target"], line.get("body", "").encode())
        if not found.allowed:
            denied.append((line["method"], line["target"], line.get("body", "")[:300], found.reason))
    assert denied == []
