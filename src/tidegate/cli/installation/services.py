"""The service manager of this host, as far as an installation needs it: which commands, and running them.

``commands_of_*`` are pure. Nothing is run for a staging directory, nor where the words are only to be shown.
"""

import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from tidegate.base.errors import ConflictError, InternalError, InvalidParameterError
from tidegate.cli.installation.units import ENGINE, GATE, TARGET

_BOOTED = Path("/run/systemd/system")
_RIVALS = ("docker.service", "docker.socket", "podman.socket")

Words = tuple[str, ...]


def commands_of_install(changed: bool, enable: bool, group_file: Path | None) -> list[Words]:
    """``changed``: units, settings or the program are not what the running services were started with.

    Containers live on while the engine's service restarts; services that do not run are not started by it.
    """
    commands: list[Words] = [("systemctl", "daemon-reload")]
    if group_file is not None:
        commands.append(("systemd-sysusers", str(group_file)))
    if changed:
        commands.append(("systemctl", "try-restart", ENGINE, GATE))
    if enable:
        commands.append(("systemctl", "enable", "--now", TARGET))
    return commands


def commands_of_uninstall(names: Collection[str]) -> tuple[list[Words], list[Words]]:
    """Before the files of those ``names`` go, and after; systemctl refuses a unit that is not there."""
    services = tuple(name for name in (GATE, ENGINE) if name in names)
    before: list[Words] = [("systemctl", "disable", "--now", TARGET)] if TARGET in names else []
    if services:
        before.append(("systemctl", "stop", *services))
    return before, [("systemctl", "daemon-reload")]


def require_systemd(booted: Path = _BOOTED) -> None:
    """Raises InvalidParameterError with what to do on another host."""
    if not booted.is_dir():
        raise InvalidParameterError(
            "this host was not booted with systemd: nothing was done. Have your own service manager run "
            "`tidegate up` (or `tidegate engine` and `tidegate gate`), or say --root DIR to stage the files"
        )


def require_free_docker_socket(listening: bool) -> None:
    """``listening``: somebody serves it who is not ours. Raises ConflictError naming the service that is active."""
    active = [name for name in _RIVALS if _is_active(name)]
    if active or listening:
        mend = f"systemctl disable --now {' '.join(active)}" if active else "end what listens there"
        raise ConflictError(f"docker-group: another engine serves the socket /run/docker.sock: {mend}")


def run(commands: Sequence[Words]) -> None:
    """One after another. Raises InternalError with what the failed one said."""
    for words in commands:
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - literal words
        if done.returncode != 0:
            raise InternalError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")


def _is_active(name: str) -> bool:
    if shutil.which("systemctl") is None:
        return False
    done = subprocess.run(["systemctl", "is-active", "--quiet", name], check=False)  # noqa: S603, S607 - literal words
    return done.returncode == 0
