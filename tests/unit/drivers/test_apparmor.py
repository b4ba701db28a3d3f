"""Which AppArmor profile a container runs under."""

from pathlib import Path

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.apparmor import NAME, AppArmor
from tidegate.spec.container import HostConfig


def apparmor(directory: Path, *, enabled: bool = True, problem: str = "") -> AppArmor:
    (directory / "enabled").write_text("Y\n" if enabled else "N\n")
    (directory / "profiles").write_text("mine (enforce)\n/usr/bin/man (complain)\n")
    made = AppArmor(directory / "enabled", directory / "profiles", lambda: problem)
    made.load()
    return made


def of(made: AppArmor, *options: str, privileged: bool = False) -> str:
    return made.profile_of(HostConfig(security_opt=options), privileged=privileged)


def test_a_container_that_does_not_say_gets_the_engine_s_profile(tmp_path: Path) -> None:
    made = apparmor(tmp_path)
    assert of(made) == of(made, "apparmor=docker-default") == NAME
    assert of(made, "apparmor=mine", privileged=True) == "mine"
    assert of(made, "apparmor=unconfined") == of(made, privileged=True) == ""
    assert made.obstacles == ()
    with pytest.raises(InvalidParameterError, match="apparmor=other: no such profile is loaded"):
        of(made, "apparmor=other")


def test_without_apparmor_there_is_nothing_to_do_or_to_tell(tmp_path: Path) -> None:
    made = apparmor(tmp_path, enabled=False, problem="not asked")
    assert (of(made), made.obstacles) == ("", ())
    assert of(AppArmor(tmp_path / "none", tmp_path / "none")) == ""


def test_a_profile_that_could_not_be_loaded_is_told_and_not_promised(tmp_path: Path) -> None:
    made = apparmor(tmp_path, problem="no parser")
    assert of(made) == ""
    assert made.obstacles == ("AppArmor is enabled, but containers are not confined by it: no parser",)
    with pytest.raises(InvalidParameterError, match="no such profile is loaded"):
        of(made, "apparmor=docker-default")
