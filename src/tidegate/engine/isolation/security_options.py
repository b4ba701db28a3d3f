"""``SecurityOpt``: which there are, and what this host can do of them.

``NAME=VALUE``, or ``NAME:VALUE`` where there is no equals sign. ``systempaths=unconfined`` is the docker CLI's, which
sends it as empty ``MaskedPaths`` and ``ReadonlyPaths``; it means the same here.

A profile or a label that the host cannot enforce is refused: nobody shall believe that it confines.

Source: moby's daemon.parseSecurityOpt, docker/cli's parseSystemPaths.
"""

from collections.abc import Sequence

import msgspec

from tidegate.base.errors import InvalidParameterError, NotSupportedError
from tidegate.kernel.host import AccessControls
from tidegate.kernel.seccomp.compiler import BUILTIN, Host, parse_profile, plan_rules

UNCONFINED = "unconfined"
DEFAULT_APPARMOR = frozenset({"", "docker-default", "tidegate-default"})
_BOOLEANS = {**dict.fromkeys(("1", "t", "true"), True), **dict.fromkeys(("0", "f", "false"), False)}


class SecurityOptions(msgspec.Struct, frozen=True):
    """``seccomp`` is "" (what the engine has for all), ``unconfined``, ``builtin``, or a profile's text."""

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    labels: tuple[str, ...] = ()
    shows_system_paths: bool = False


def parse_security_options(options: Sequence[str]) -> SecurityOptions:
    """Of two that say the same thing the last counts; labels add up. Raises InvalidParameterError."""
    found = SecurityOptions()
    for option in options:
        separator = "=" if "=" in option else ":"
        name, given, value = option.partition(separator)
        if option in ("no-new-privileges", "disable"):
            name, value = ("label", option) if option == "disable" else (option, "true")
        elif not given:
            raise InvalidParameterError(f'invalid --security-opt 1: "{option}"')
        found = _with(found, name, value, option)
    return found


def _with(found: SecurityOptions, name: str, value: str, option: str) -> SecurityOptions:
    match name:
        case "no-new-privileges" if value.lower() in _BOOLEANS:
            return msgspec.structs.replace(found, no_new_privileges=_BOOLEANS[value.lower()])
        case "seccomp":
            return msgspec.structs.replace(found, seccomp=value)
        case "apparmor":
            return msgspec.structs.replace(found, apparmor=value)
        case "label":
            return msgspec.structs.replace(found, labels=(*found.labels, value))
        case "systempaths" if value == UNCONFINED:
            return msgspec.structs.replace(found, shows_system_paths=True)
    raise InvalidParameterError(f'invalid --security-opt 2: "{option[:200]}"')


def check_security_options(options: Sequence[str], host: AccessControls) -> None:
    """Raises InvalidParameterError for a profile that is none, NotSupportedError for what this host cannot enforce."""
    found = parse_security_options(options)
    if found.apparmor not in ("", UNCONFINED) and not host.apparmor:
        raise NotSupportedError(
            f"SecurityOpt apparmor={found.apparmor}: this host has no AppArmor, so that nothing would be confined; "
            "leave the option out"
        )
    for label in found.labels:
        if label != "disable":
            raise NotSupportedError(
                f"SecurityOpt label={label}: "
                + ("containers are not labelled for SELinux" if host.selinux else "this host has no SELinux")
                + "; leave the option out, or say label=disable"
            )
    if found.seccomp not in ("", UNCONFINED, BUILTIN):
        check_profile(found.seccomp)


def check_profile(text: str) -> None:
    """Raises InvalidParameterError, NotSupportedError for a seccomp profile that could not be applied."""
    profile = parse_profile(text)
    plan_rules(profile, frozenset(), Host.current())
    if profile.get("listenerPath"):
        raise NotSupportedError("SecurityOpt seccomp: listenerPath: notifications of system calls go nowhere here")


def with_defaults(options: tuple[str, ...], defaults: Sequence[str]) -> tuple[str, ...]:
    """The client's, and the engine's of names that the client says nothing of."""
    said = {option.replace(":", "=", 1).partition("=")[0] for option in options}
    return (*options, *(option for option in defaults if option.partition("=")[0] not in said))
