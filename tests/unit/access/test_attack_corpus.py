"""Every attack of the corpus is denied to every role but admin: unreadable, refused, or another's object."""

import pytest
from tests.corpus.attacks import ATTACKS, Attack
from tests.unit.access.asking import ALICE

from tidegate.access.asked import read_asked
from tidegate.access.decision import decide
from tidegate.access.policy import built_in_policy
from tidegate.access.roles import BUILT_IN_ROLES
from tidegate.base.errors import InvalidParameterError, NotFoundError


def test_the_corpus_is_large_and_each_attack_has_an_origin() -> None:
    assert len(ATTACKS) >= 300
    assert all(attack.origin for attack in ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_is_denied_to_every_role_but_admin(attack: Attack) -> None:
    try:
        asked = read_asked(attack.method, attack.target, attack.body)
    except (InvalidParameterError, NotFoundError):
        return
    for role in sorted(set(BUILT_IN_ROLES) - {"admin"}):
        verdict = decide(built_in_policy(), ALICE, role, asked)
        anothers = any(reference.name_or_id == "victim" for reference in verdict.must_own)
        assert not verdict.allowed or anothers, (role, verdict)
