"""Docker's default seccomp filter compiled to BPF by libseccomp, through ctypes.

The profile is JSON in the form of containers-common's ``seccomp.json``: rules with ``includes`` and ``excludes`` by
capability, architecture and kernel version. ``plan_rules`` (pure) chooses those that hold for a set of capabilities;
``compile_profile`` hands them to the library.

- containers-common allows what nested rootless containers need (mount, unshare, keyctl, ...); Docker gives those only
  with a capability. ``restrict_to_docker`` takes them back from the default profile, so that no container makes a user
  namespace without CAP_SYS_ADMIN.
- Compiling costs some 15 ms of CPU: callers keep the bytes. ``SeccompCompiler`` does, per capability set.
- A system call the library does not know cannot be named in a filter and is left out: the default action covers it.
- crun takes the program from the annotation ``run.oci.seccomp_bpf_data`` in base64 (crun(1)).
"""

import base64
import ctypes
import errno
import json
import os
import platform
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from tidegate.base.errors import InternalError, InvalidParameterError, NotSupportedError

DEFAULT_PROFILE = Path("/usr/share/containers/seccomp.json")
BPF_ANNOTATION = "run.oci.seccomp_bpf_data"
BUILTIN = "builtin"
_MOST_PROGRAMS = 128

_ALLOW = 0x7FFF0000
ACTIONS = {
    "SCMP_ACT_ALLOW": _ALLOW,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
}
COMPARISONS = {
    name: number
    for number, name in enumerate(
        ("SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT"), start=1
    )
} | {"SCMP_CMP_MASKED_EQ": 7}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "x86", "s390x": "s390x"}
ARCHITECTURES = {"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64", "arm": "SCMP_ARCH_ARM"}


_CLONE_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)  # CLONE_NEW*
_AF_VSOCK = 40
_SYS_ADMIN_CALLS = (
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "setns",
    "umount",
    "umount2",
    "unshare",
)
_GATES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_SYS_ADMIN_CALLS, frozenset({"CAP_SYS_ADMIN"})),
    **dict.fromkeys(("get_mempolicy", "mbind", "set_mempolicy"), frozenset({"CAP_SYS_NICE"})),
    "syslog": frozenset({"CAP_SYS_ADMIN", "CAP_SYSLOG"}),
    "reboot": frozenset({"CAP_SYS_BOOT"}),
    "pidfd_getfd": frozenset({"CAP_SYS_PTRACE"}),
    "keyctl": frozenset(),
    "pivot_root": frozenset(),
}
"""Calls that Docker allows only with one of these capabilities (none: never)."""


class _ArgumentComparison(ctypes.Structure):
    """``struct scmp_arg_cmp`` of seccomp.h."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class Rule(msgspec.Struct, frozen=True):
    """One system call by name; ``comparisons`` are (argument index, operator, value, second value), all must hold."""

    syscall: str
    action: int
    comparisons: tuple[tuple[int, int, int, int], ...] = ()


class Host(msgspec.Struct, frozen=True):
    """What the profile's conditions look at: ``architecture`` in Go's naming, kernel (major, minor)."""

    architecture: str
    kernel: tuple[int, int]

    @classmethod
    def current(cls) -> "Host":
        release = re.match(r"(\d+)\.(\d+)", platform.release())
        kernel = (int(release[1]), int(release[2])) if release else (0, 0)
        return cls(_MACHINES.get(platform.machine(), platform.machine()), kernel)


def parse_profile(text: str) -> Mapping[str, Any]:
    """Raises InvalidParameterError, naming the field, unless it is a profile."""
    try:
        profile = json.loads(text)
    except ValueError as error:
        raise InvalidParameterError(f"Decoding seccomp profile failed: {error}") from error
    if not isinstance(profile, dict) or not isinstance(profile.get("defaultAction"), str):
        raise InvalidParameterError("Decoding seccomp profile failed: defaultAction is missing")
    if not isinstance(profile.get("syscalls") or [], list):
        raise InvalidParameterError("Decoding seccomp profile failed: syscalls is not a list")
    return profile


def plan_rules(profile: Mapping[str, Any], capabilities: frozenset[str], host: Host) -> tuple[Rule, ...]:
    """The rules that hold for a container with ``capabilities`` on ``host``, in the profile's order."""
    return tuple(
        rule for entry in profile.get("syscalls") or () if _holds(entry, capabilities, host) for rule in _rules(entry)
    )


def restrict_to_docker(rules: Sequence[Rule], capabilities: frozenset[str], host: Host) -> tuple[Rule, ...]:
    """``rules`` less what Docker's default filter refuses a container with ``capabilities``.

    Refused calls answer EPERM, except clone3 (ENOSYS): its flags are behind a pointer that no filter can read, and C
    libraries then fall back to clone.
    """
    refused = {name for name, holders in _GATES.items() if not capabilities & holders}
    own = [Rule(name, _refusal(errno.EPERM)) for name in sorted(refused)]
    allows_vsock_less = any(rule == Rule("socket", _ALLOW) for rule in rules)
    if allows_vsock_less:
        own.append(Rule("socket", _ALLOW, ((0, COMPARISONS["SCMP_CMP_NE"], _AF_VSOCK, 0),)))
    replaced = refused | ({"socket"} if allows_vsock_less else set())
    if "CAP_SYS_ADMIN" not in capabilities:
        replaced |= {"clone", "clone3"}
        own += [*_plain_clone(1 if host.architecture == "s390x" else 0), Rule("clone3", _refusal(errno.ENOSYS))]
    return (*(rule for rule in rules if rule.syscall not in replaced), *own)


def _plain_clone(flags_argument: int) -> Iterator[Rule]:
    """clone without new namespaces (s390 has its first two arguments the other way round, clone(2))."""
    masked = COMPARISONS["SCMP_CMP_MASKED_EQ"]
    yield Rule("clone", _ALLOW, ((flags_argument, masked, sum(_CLONE_NAMESPACES), 0),))
    for flag in _CLONE_NAMESPACES:
        yield Rule("clone", _refusal(errno.EPERM), ((flags_argument, masked, flag, flag),))


def _refusal(number: int) -> int:
    return ACTIONS["SCMP_ACT_ERRNO"] | number


def _holds(entry: Mapping[str, Any], capabilities: frozenset[str], host: Host) -> bool:
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    if includes.get("arches") and host.architecture not in includes["arches"]:
        return False
    if host.architecture in (excludes.get("arches") or ()):
        return False
    if not capabilities.issuperset(includes.get("caps") or ()):
        return False
    if capabilities.intersection(excludes.get("caps") or ()):
        return False
    if includes.get("minKernel") and host.kernel < _kernel_version(includes["minKernel"]):
        return False
    return not (excludes.get("minKernel") and host.kernel >= _kernel_version(excludes["minKernel"]))


def _kernel_version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    try:
        return int(major), int(minor or 0)
    except ValueError as error:
        raise InvalidParameterError(f"invalid kernel version in seccomp profile: {text!r}") from error


def _rules(entry: Mapping[str, Any]) -> Iterator[Rule]:
    action = _action(str(entry.get("action")), entry.get("errnoRet"))
    arguments = [_comparison(argument) for argument in entry.get("args") or ()]
    # libseccomp allows one comparison an argument in a rule; several on one argument are alternatives, as in runc.
    one_each = len({argument[0] for argument in arguments}) == len(arguments)
    for name in entry.get("names") or ([entry["name"]] if "name" in entry else ()):
        if one_each:
            yield Rule(name, action, tuple(arguments))
        else:
            yield from (Rule(name, action, (argument,)) for argument in arguments)


def _comparison(argument: Mapping[str, Any]) -> tuple[int, int, int, int]:
    try:
        operator = COMPARISONS[argument["op"]]
        return int(argument["index"]), operator, int(argument["value"]), int(argument.get("valueTwo") or 0)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidParameterError(f"invalid argument in seccomp profile: {argument!r}") from error


def _action(name: str, errno_return: int | None) -> int:
    if name not in ACTIONS:
        raise InvalidParameterError(f"invalid action in seccomp profile: {name!r}")
    action = ACTIONS[name]
    if name in {"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"}:
        action |= (errno.EPERM if errno_return is None else int(errno_return)) & 0xFFFF
    return action


def sub_architectures(profile: Mapping[str, Any], host: Host) -> Sequence[str]:
    """Those whose system calls are filtered beside the host's own."""
    native = ARCHITECTURES.get(host.architecture)
    for entry in profile.get("archMap") or ():
        if entry.get("architecture") == native:
            return tuple(entry.get("subArchitectures") or ())
    return tuple(name for name in profile.get("architectures") or () if name != native)


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError as error:
        raise NotSupportedError("seccomp is not available: libseccomp.so.2 cannot be loaded") from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_release.restype = None
    library.seccomp_arch_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_ArgumentComparison),
    ]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return library


def compile_profile(profile: Mapping[str, Any], rules: Sequence[Rule], host: Host) -> bytes:
    """BPF (an array of ``struct sock_filter``): ``rules`` with the profile's default action and architectures.

    Raises InvalidParameterError on a bad profile, NotSupportedError without the library, InternalError when it refuses.
    """
    default = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    library = _library()
    context = library.seccomp_init(default)
    if not context:
        raise InternalError("libseccomp refuses the default action of the seccomp profile")
    try:
        for name in sub_architectures(profile, host):
            token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
            if token:
                _check(library.seccomp_arch_add(context, token), name, ignored=errno.EEXIST)
        for rule in rules:
            if rule.action != default:
                _add_rule(library, context, rule)
        return _export(library, context)
    finally:
        library.seccomp_release(context)


def _add_rule(library: ctypes.CDLL, context: int, rule: Rule) -> None:
    number = library.seccomp_syscall_resolve_name(rule.syscall.encode())
    if number == -1:  # __NR_SCMP_ERROR: newer than the library
        return
    comparisons = (_ArgumentComparison * max(1, len(rule.comparisons)))(
        *(_ArgumentComparison(*comparison) for comparison in rule.comparisons)
    )
    result = library.seccomp_rule_add_array(context, rule.action, number, len(rule.comparisons), comparisons)
    _check(result, rule.syscall, ignored=errno.EDOM)  # EDOM: not a call of this architecture


def _check(result: int, subject: str, ignored: int = 0) -> None:
    if result < 0 and -result != ignored:
        raise InternalError(f"libseccomp refuses {subject}: {os.strerror(-result)}")


def _export(library: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    with os.fdopen(fd, "rb") as program:
        _check(library.seccomp_export_bpf(context, fd), "the seccomp profile")
        program.seek(0)
        return program.read()


class SeccompProgram(msgspec.Struct, frozen=True):
    """A filter as the kernel takes it; ``flags`` of seccomp(2) by their names in a profile."""

    bpf: bytes
    flags: tuple[str, ...] = ()


class SeccompCompiler:
    """Docker's default filter, the engine's, and profiles of clients: one compilation for each and its capabilities."""

    def __init__(self, engine_profile: str = "", profile_path: Path = DEFAULT_PROFILE) -> None:
        self._engine_profile, self._profile_path = engine_profile, profile_path
        self._profile: Mapping[str, Any] | None = None
        self._programs: OrderedDict[tuple[frozenset[str], str], SeccompProgram] = OrderedDict()

    def program(self, capabilities: Iterable[str], text: str = "") -> SeccompProgram:
        """Of a profile's text, "" for the engine's, ``builtin`` for Docker's.

        Raises NotSupportedError when that is not installed, and what ``parse_profile`` and ``compile_profile`` raise.
        """
        key = (frozenset(capabilities), text)
        if key not in self._programs:
            self._programs[key] = self._compiled(*key)
            if len(self._programs) > _MOST_PROGRAMS:
                self._programs.popitem(last=False)
        return self._programs[key]

    def rules(self, capabilities: frozenset[str], text: str = "") -> tuple[Mapping[str, Any], Sequence[Rule]]:
        """A profile, and what holds of it for the container. Raises as ``program`` does."""
        host, text = Host.current(), text or self._engine_profile or BUILTIN
        profile = self._default_profile() if text == BUILTIN else parse_profile(text)
        rules = plan_rules(profile, capabilities, host)
        return profile, restrict_to_docker(rules, capabilities, host) if text == BUILTIN else rules

    def _compiled(self, capabilities: frozenset[str], text: str) -> SeccompProgram:
        host = Host.current()
        profile, rules = self.rules(capabilities, text)
        flags = tuple(str(flag) for flag in profile.get("flags") or ())
        return SeccompProgram(compile_profile(profile, rules, host), flags)

    def _default_profile(self) -> Mapping[str, Any]:
        if self._profile is None:
            try:
                self._profile = parse_profile(self._profile_path.read_text())
            except OSError as error:
                raise NotSupportedError(
                    f"the default seccomp profile is missing: {error} (Debian: golang-github-containers-common)"
                ) from error
        return self._profile


def annotation(bpf: bytes) -> str:
    """The value of the annotation ``BPF_ANNOTATION``."""
    return base64.b64encode(bpf).decode()
