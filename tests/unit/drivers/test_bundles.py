"""Bundles remember a control group that is elsewhere, also for the next engine."""

import json
from pathlib import Path

from tidegate.drivers.shim.bundles import Bundles


def config(path: str) -> dict[str, object]:
    return {"linux": {"cgroupsPath": path}}


def test_the_group_of_a_container_is_known_to_a_later_engine(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path, "/tg0")
    written = bundles.write("c1", config("/batch/night/c1"))
    bundles.write("c2", config("/tg0/c2"))
    assert json.loads((written / "config.json").read_text()) == config("/batch/night/c1")
    for each in (bundles, Bundles(tmp_path, "tg0")):
        assert [each.cgroup_parent(name) for name in ("c1", "c2", "c3")] == ["batch/night", None, None]
    bundles.remove("c1")
    bundles.remove("c1")
    assert bundles.cgroup_parent("c1") is None and not written.exists()


def test_the_top_of_the_hierarchy_is_a_parent_too(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path, "tg0")
    bundles.write("c1", config("/c1"))
    assert bundles.cgroup_parent("c1") == Bundles(tmp_path, "tg0").cgroup_parent("c1") == ""


def test_a_container_that_comes_back_to_the_engine_s_group_is_there(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path, "tg0")
    bundles.write("c1", config("/batch/c1"))
    bundles.write("c1", config("/tg0/c1"))
    assert Bundles(tmp_path, "tg0").cgroup_parent("c1") is None
