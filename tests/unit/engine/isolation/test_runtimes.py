"""OCI runtimes by name."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.isolation.runtimes import RuntimeCommand, Runtimes

RUNC = RuntimeCommand("/usr/sbin/runc")


def test_the_engine_s_own_needs_no_command() -> None:
    runtimes = Runtimes(found={"runc": RUNC})
    assert list(runtimes.known) == ["crun", "runc"]
    assert runtimes.command("") is runtimes.command("crun") is None
    assert runtimes.command("runc") == RUNC


def test_a_named_runtime_may_be_the_default_or_take_the_place_of_one() -> None:
    other = RuntimeCommand("/opt/crun", ("--debug",))
    runtimes = Runtimes(named={"crun": other}, default="runc", found={"runc": RUNC})
    assert runtimes.command("") == RUNC
    assert runtimes.command("crun") == other


def test_an_unknown_one_is_refused_in_docker_s_words() -> None:
    with pytest.raises(InvalidParameterError, match="unknown or invalid runtime name: kata"):
        Runtimes().check("kata")
