"""Where a container's control group is."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.isolation.cgroup_parent import cgroup_path, plan_cgroup_parent


@pytest.mark.parametrize(
    ("wanted", "planned"),
    [
        ("", "tg0"),
        ("/batch", "batch"),
        ("/batch/night/", "batch/night"),
        ("//batch/./x", "batch/x"),
        ("batch", "tg0/batch"),
        ("/", ""),
        ("/batch.slice", "batch.slice"),
    ],
)
def test_a_parent_is_from_the_top_or_below_the_engine_s_own(wanted: str, planned: str) -> None:
    assert plan_cgroup_parent(wanted, "/tg0/") == planned


@pytest.mark.parametrize("wanted", ["/a/../b", "..", "/a b", "/a\nb", "/" + "x" * 256, "/a\0b"])
def test_what_is_no_path_of_a_group_is_refused(wanted: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid CgroupParent"):
        plan_cgroup_parent(wanted, "tg0")


def test_the_container_is_below_its_parent() -> None:
    assert cgroup_path("", "tg0", "c1") == "/tg0/c1"
    assert cgroup_path("/", "tg0", "c1") == "/c1"
