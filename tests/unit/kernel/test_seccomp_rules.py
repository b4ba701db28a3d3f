"""Which seccomp rules hold for which container; what Docker's filter refuses."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.kernel.seccomp.compiler import Host, Rule, parse_profile, plan_rules, restrict_to_docker

ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
AMD64 = Host("amd64", (6, 1))


def test_conditions_choose_by_capability_architecture_and_kernel() -> None:
    profile = parse_profile(
        """{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
        {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_BPF"]}},
        {"names": ["set_tls"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}]}"""
    )
    common = (Rule("read", ALLOW), Rule("write", ALLOW))
    clone = Rule("clone", ALLOW, ((0, 7, 8, 0),))
    assert plan_rules(profile, frozenset(), AMD64) == (*common, Rule("bpf", ENOSYS), clone)
    held = frozenset({"CAP_BPF"})
    assert plan_rules(profile, held, Host("arm64", (6, 2))) == (
        *common,
        Rule("bpf", ALLOW),
        Rule("set_tls", ALLOW),
        Rule("ptrace", ALLOW),
        clone,
    )


def test_docker_gives_mounts_and_namespaces_only_with_their_capability() -> None:
    rules = tuple(Rule(name, ALLOW) for name in ("read", "mount", "unshare", "clone", "clone3", "keyctl", "socket"))
    plain = restrict_to_docker(rules, frozenset({"CAP_CHOWN"}), AMD64)
    by_name = {rule.syscall: rule for rule in plain if rule.syscall != "clone"}
    assert by_name["read"] == Rule("read", ALLOW)
    assert {by_name[name].action for name in ("mount", "unshare", "keyctl", "setns", "reboot")} == {EPERM}
    assert by_name["clone3"].action == ENOSYS
    assert by_name["socket"].comparisons == ((0, 1, 40, 0),)
    clones = [rule for rule in plain if rule.syscall == "clone"]
    assert clones[0] == Rule("clone", ALLOW, ((0, 7, 0x7E020000, 0),))
    assert {rule.action for rule in clones[1:]} == {EPERM}
    admin = restrict_to_docker(rules, frozenset({"CAP_SYS_ADMIN"}), AMD64)
    assert {Rule(name, ALLOW) for name in ("mount", "unshare", "clone", "clone3")} <= set(admin)
    assert Rule("keyctl", EPERM) in admin


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Decoding seccomp profile failed"),
        ("{}", "defaultAction is missing"),
        ('{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": 3}', "syscalls is not a list"),
        ('{"defaultAction": "X", "syscalls": [{"names": ["read"], "action": "MAYBE"}]}', "invalid action"),
    ],
)
def test_a_bad_profile_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        plan_rules(parse_profile(text), frozenset(), AMD64)
