"""The version a client speaks."""

import pytest

from tidegate.api.profile import decide_profile
from tidegate.base.errors import InvalidParameterError
from tidegate.spec.api_version import NEWEST, OLDEST, text


def test_without_a_prefix_the_newest_is_spoken() -> None:
    assert decide_profile(None).version == NEWEST


@pytest.mark.parametrize("version", ["1.24", "1.41", "1.56"])
def test_every_supported_version_is_accepted(version: str) -> None:
    assert text(decide_profile(version).version) == version


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        ("1.23", f"client version 1.23 is too old. Minimum supported API version is {text(OLDEST)}"),
        ("1.9", "too old"),
        ("1.57", f"too new. Maximum supported API version is {text(NEWEST)}"),
        ("2.0", "too new"),
        ("1", "invalid API version"),
        ("1.x", "invalid API version"),
        ("1.\u0663\u0660", "invalid API version"),
    ],
)
def test_others_are_refused_in_docker_s_words(version: str, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        decide_profile(version)


def test_behaviours_have_their_versions() -> None:
    assert not decide_profile("1.41").multiplexed_content_type
    assert decide_profile("1.42").multiplexed_content_type
    assert decide_profile("1.51").precedes_usage_totals
    assert not decide_profile("1.52").precedes_usage_totals
