"""Everyday sessions of real clients, asked of the policy: a developer is denied nothing, and rules fail on nothing."""

import pytest
from tests.corpus.recordings import everyday
from tests.unit.access.asking import ALICE

from tidegate.access.asked import read_asked
from tidegate.access.decision import decide
from tidegate.access.files import parse_policy
from tidegate.access.policy import built_in_policy
from tidegate.access.roles import BUILT_IN_ROLES

RULES = parse_policy({"a.cedar": 'permit(principal, action == Action::"SwarmInit", resource);'})


REQUESTS = [read_asked(method, target, body.encode()) for method, target, body in everyday()]


def test_a_developer_is_denied_nothing() -> None:
    assert len(REQUESTS) > 400
    verdicts = [decide(built_in_policy(), ALICE, "developer", asked) for asked in REQUESTS]
    assert [verdict.reason for verdict in verdicts if not verdict.allowed] == []


@pytest.mark.parametrize("role", sorted(BUILT_IN_ROLES))
def test_silent_rules_change_no_verdict(role: str) -> None:
    for asked in REQUESTS:
        assert decide(RULES, ALICE, role, asked) == decide(built_in_policy(), ALICE, role, asked)
