"""What the engine finds installed on this host: the programs that it runs, and the filesystem it keeps its data on.

Read once: the supervisor holds the runtime as it was when it began (``shim/sealed_program``).
"""

import re
import shutil
import subprocess
from pathlib import Path

from tidegate.engine.isolation.runtimes import Runtimes
from tidegate.kernel.host import Installation, Program
from tidegate.kernel.mounts import filesystem_of

_INIT_PATHS = (Path("/usr/bin/docker-init"), Path("/usr/bin/tini-static"), Path("/usr/bin/catatonit"))
_LIMIT_S = 10.0
_VERSION = re.compile(r"version v?(\S+)")
_COMMIT = re.compile(r"(?:^commit:|- git\.)\s*(\S+)", re.MULTILINE)
_DOCKERS_NAMES = {"ext2": "extfs", "ext3": "extfs", "ext4": "extfs", "overlay": "overlayfs"}


def read_installation(runtimes: Runtimes, data_root: Path, init_path: Path | None = None) -> Installation:
    """May block. What cannot be found or read is unknown, never an error."""
    runtime = shutil.which(runtimes.known[runtimes.default].path)
    init = init_path or find_init()
    mountinfo = Path("/proc/thread-self/mountinfo").read_text(errors="surrogateescape")
    filesystem = filesystem_of(str(data_root.resolve()), mountinfo)
    return Installation(
        runtime=read_program(runtimes.default, Path(runtime)) if runtime else None,
        init=read_program("docker-init", init) if init else None,
        backing_filesystem=_DOCKERS_NAMES.get(filesystem, filesystem),
    )


def find_init() -> Path | None:
    """The program that ``HostConfig.Init`` runs."""
    return next((path for path in _INIT_PATHS if path.exists()), None)


def read_program(name: str, path: Path) -> Program:
    """What a program says of its version."""
    try:
        done = subprocess.run(  # noqa: S603 - a program that the engine runs as root anyway
            [path, "--version"], capture_output=True, text=True, timeout=_LIMIT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return Program(name, str(path))
    return parse_program(name, str(path), done.stdout)


def parse_program(name: str, path: str, said: str) -> Program:
    """``crun version 1.8.1``, with the commit on a line of its own or, as tini has it, behind the version."""
    version, commit = _VERSION.search(said), _COMMIT.search(said)
    return Program(name, path, version[1] if version else "", commit[1] if commit else "")
