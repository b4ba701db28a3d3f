"""Security options: read as Docker reads them, and refused where the host could not enforce them."""

import json

import pytest

from tidegate.base.errors import InvalidParameterError, NotSupportedError, TidegateError
from tidegate.engine.isolation.security_options import (
    SecurityOptions,
    check_security_options,
    parse_security_options,
    with_defaults,
)
from tidegate.kernel.host import AccessControls

PROFILE = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}]}
NOTHING = AccessControls()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], SecurityOptions()),
        (["no-new-privileges"], SecurityOptions(no_new_privileges=True)),
        (["no-new-privileges:true"], SecurityOptions(no_new_privileges=True)),
        (["no-new-privileges=1", "no-new-privileges=False"], SecurityOptions()),
        (["seccomp:unconfined"], SecurityOptions(seccomp="unconfined")),
        (["seccomp=" + json.dumps(PROFILE)], SecurityOptions(seccomp=json.dumps(PROFILE))),
        (["apparmor=mine"], SecurityOptions(apparmor="mine")),
        (["label=disable"], SecurityOptions(labels=("disable",))),
        (["disable"], SecurityOptions(labels=("disable",))),
        (["label=type:x_t", "label:level:s0"], SecurityOptions(labels=("type:x_t", "level:s0"))),
        (["systempaths=unconfined"], SecurityOptions(shows_system_paths=True)),
    ],
)
def test_options_are_read(options: list[str], found: SecurityOptions) -> None:
    assert parse_security_options(options) == found


@pytest.mark.parametrize("option", ["", "x", "x=y", "no-new-privileges=maybe", "systempaths=confined"])
def test_unknown_options_are_refused(option: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid --security-opt"):
        parse_security_options([option])


@pytest.mark.parametrize(
    ("option", "host"),
    [
        ("apparmor=unconfined", NOTHING),
        ("apparmor=docker-default", AccessControls(apparmor=True)),
        ("label=disable", NOTHING),
        ("seccomp=builtin", NOTHING),
        ("seccomp=" + json.dumps(PROFILE), NOTHING),
    ],
)
def test_what_this_host_can_do_is_accepted(option: str, host: AccessControls) -> None:
    check_security_options([option], host)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("apparmor=docker-default", "this host has no AppArmor"),
        ("label=type:x_t", "this host has no SELinux"),
        ("seccomp=/etc/profile.json", "Decoding seccomp profile failed"),
        ("seccomp={}", "defaultAction is missing"),
        ("seccomp=" + json.dumps({**PROFILE, "listenerPath": "/x"}), "listenerPath"),
        ("seccomp=" + json.dumps({**PROFILE, "syscalls": [{"names": ["x"], "action": "NO"}]}), "invalid action"),
    ],
)
def test_what_would_confine_nothing_is_refused(option: str, complaint: str) -> None:
    with pytest.raises(TidegateError, match=complaint):
        check_security_options([option], NOTHING)


def test_labels_are_refused_on_a_host_with_selinux_too() -> None:
    with pytest.raises(NotSupportedError, match="not labelled for SELinux"):
        check_security_options(["label=level:s0"], AccessControls(selinux=True))


def test_the_engine_s_options_are_for_names_that_the_client_says_nothing_of() -> None:
    defaults = ("no-new-privileges", "seccomp=unconfined")
    assert with_defaults(("seccomp:builtin",), defaults) == ("seccomp:builtin", "no-new-privileges")
    assert with_defaults(("no-new-privileges=false",), defaults[:1]) == ("no-new-privileges=false",)
