"""AppArmor on hosts that have it: the profile that containers get which do not say, and whether others are there.

- The engine's profile says what Docker's says: everything that the container's own view allows, but no mounts, no
  writes to settings of the kernel, no reads of its memory or of the security modules, and no signals or traces across.
- It is compiled by apparmor_parser(8) when the engine starts. Without that program nothing is confined by it, which
  ``obstacles`` tells; a container that asks for a profile by name is then refused where it is not loaded.

Sources: apparmor.d(5), apparmor_parser(8); what is denied follows Docker's documentation of its default profile.
"""

import logging
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.isolation.security_options import DEFAULT_APPARMOR, UNCONFINED, parse_security_options
from tidegate.spec.container import HostConfig

NAME = "tidegate-default"
_ENABLED = Path("/sys/module/apparmor/parameters/enabled")
_LOADED = Path("/sys/kernel/security/apparmor/profiles")
_PARSER_DEADLINE_S = 60
_PROFILE = """
profile tidegate-default flags=(attach_disconnected,mediate_deleted) {
  network,
  capability,
  file,
  unix,
  umount,
  signal (send, receive) peer=tidegate-default,
  signal (receive) peer=unconfined,
  signal (receive) peer=crun,
  signal (receive) peer=runc,
  ptrace (trace, read, tracedby, readby) peer=tidegate-default,

  deny mount,
  deny /proc/* w,
  deny /proc/{[^1-9s],[^1-9s]*,s[^ey]*}/** w,
  deny /proc/sys/[^k]** w,
  deny /proc/sys/kernel/{?,??,[^s]**,s[^h]**,sh[^m]**} w,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,
  deny /sys/[^f]** wklx,
  deny /sys/f[^s]** wklx,
  deny /sys/fs/[^c]** wklx,
  deny /sys/fs/c[^g]** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}
"""
_log = logging.getLogger(__name__)


def load_profile() -> str:
    """Have the engine's profile in the kernel; returns what is wrong, "" for nothing."""
    parser = shutil.which("apparmor_parser") or shutil.which("apparmor_parser", path="/usr/sbin:/sbin")
    if parser is None:
        return "apparmor_parser is not installed (Debian package: apparmor)"
    command = [parser, "--replace", "--skip-cache", "--quiet"]
    try:
        done = subprocess.run(  # noqa: S603 - a program of the host, by its full path
            command, input=_PROFILE.encode(), capture_output=True, timeout=_PARSER_DEADLINE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"apparmor_parser: {error}"
    return "" if done.returncode == 0 else f"apparmor_parser: {done.stderr.decode(errors='replace').strip()}"


class AppArmor:
    """``load`` comes first, once; it may block."""

    def __init__(
        self, enabled: Path = _ENABLED, loaded: Path = _LOADED, load: Callable[[], str] = load_profile
    ) -> None:
        self._enabled, self._loaded, self._load = enabled, loaded, load
        self._default = ""
        self.obstacles: Sequence[str] = ()

    def load(self) -> None:
        """Have the engine's profile in the kernel. Raises nothing: what went wrong is in ``obstacles``."""
        if not self._is_enabled():
            return
        problem = self._load()
        if problem:
            warning = f"AppArmor is enabled, but containers are not confined by it: {problem}"
            _log.warning("%s", warning)
            self.obstacles = (warning,)
        else:
            self._default = NAME

    def profile_of(self, host: HostConfig, *, privileged: bool) -> str:
        """What a process runs under, "" for nothing. Raises InvalidParameterError for a profile that is not loaded."""
        wanted = parse_security_options(host.security_opt).apparmor
        if not self._is_enabled() or wanted == UNCONFINED or (privileged and not wanted):
            return ""
        if wanted in DEFAULT_APPARMOR and self._default:
            return self._default
        if wanted and wanted not in self._profiles():
            raise InvalidParameterError(f"SecurityOpt apparmor={wanted}: no such profile is loaded on this host")
        return wanted

    def _is_enabled(self) -> bool:
        try:
            return self._enabled.read_text().strip() == "Y"
        except OSError:
            return False

    def _profiles(self) -> frozenset[str]:
        try:
            return frozenset(line.rpartition(" (")[0] for line in self._loaded.read_text().splitlines())
        except OSError:
            return frozenset()
