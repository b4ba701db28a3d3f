"""A seccomp filter as ``linux.seccomp`` of the OCI runtime specification, for runtimes that compile it themselves.

Source: config-linux.md, section Seccomp. The rules are those of ``kernel/seccomp/compiler.py``, chosen for the
container.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.kernel.seccomp.compiler import ACTIONS, ARCHITECTURES, COMPARISONS, Host, Rule, sub_architectures

_ACTION_NAMES = {number: name for name, number in reversed(ACTIONS.items())}
_COMPARISON_NAMES = {number: name for name, number in COMPARISONS.items()}
_WITH_NUMBER = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_NUMBER_BITS = 0xFFFF


def oci_seccomp(profile: Mapping[str, Any], rules: Sequence[Rule], host: Host) -> dict[str, Any]:
    """``rules`` with the profile's default action and architectures."""
    document: dict[str, Any] = {"defaultAction": profile["defaultAction"]}
    if profile.get("defaultErrnoRet") is not None:
        document["defaultErrnoRet"] = profile["defaultErrnoRet"]
    native = ARCHITECTURES.get(host.architecture)
    if native is not None:
        document["architectures"] = [native, *sub_architectures(profile, host)]
    if profile.get("flags"):
        document["flags"] = list(profile["flags"])
    document["syscalls"] = [_syscall(rule) for rule in rules]
    return document


def _syscall(rule: Rule) -> dict[str, Any]:
    name = _ACTION_NAMES.get(rule.action) or _ACTION_NAMES[rule.action & ~_NUMBER_BITS]
    entry: dict[str, Any] = {"names": [rule.syscall], "action": name}
    if name in _WITH_NUMBER:
        entry["errnoRet"] = rule.action & _NUMBER_BITS
    if rule.comparisons:
        entry["args"] = [
            {"index": index, "op": _COMPARISON_NAMES[operator], "value": value, "valueTwo": second}
            for index, operator, value, second in rule.comparisons
        ]
    return entry
