"""Everyday sessions of real clients, asked of the policy: a developer is denied nothing, and rules fail on nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.access.asking import ALICE

from tidegate.access.asked import Asked, read_asked
from tidegate.access.decision import decide
from tidegate.access.files import parse_policy
from tidegate.access.policy import built_in_policy
from tidegate.access.roles import BUILT_IN_ROLES

SESSIONS = Path(__file__).resolve().parents[2] / "corpus/sessions"
RULES = parse_policy({"a.cedar": 'permit(principal, action == Action::"SwarmInit", resource);'})


def requests() -> Iterator[Asked]:
    for path in sorted(SESSIONS.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            request = json.loads(line)
            yield read_asked(request["method"], request["target"], request.get("body", "").encode())


REQUESTS = list(requests())


def test_a_developer_is_denied_nothing() -> None:
    assert len(REQUESTS) > 400
    verdicts = [decide(built_in_policy(), ALICE, "developer", asked) for asked in REQUESTS]
    assert [verdict.reason for verdict in verdicts if not verdict.allowed] == []


@pytest.mark.parametrize("role", sorted(BUILT_IN_ROLES))
def test_silent_rules_change_no_verdict(role: str) -> None:
    for asked in REQUESTS:
        assert decide(RULES, ALICE, role, asked) == decide(built_in_policy(), ALICE, role, asked)
