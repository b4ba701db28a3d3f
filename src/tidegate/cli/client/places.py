"""Where a client keeps its certificates: a directory as the docker CLI reads it (``~/.docker``), or a docker context.

A directory remembers its host in the file ``tidegate-host``, as a context does in its own way.
"""

import argparse
import os
from pathlib import Path
from typing import Protocol

from tidegate.base.errors import ConflictError, NotFoundError
from tidegate.cli.client.hand_out import check_out, modes_of, write_out
from tidegate.pki.context_archive import TLSMaterial
from tidegate.pki.docker_contexts import DockerContext
from tidegate.pki.paired_files import replace_linked

_HOST_FILE = "tidegate-host"
_LOCK_FILE = ".tidegate.lock"


class Place(Protocol):
    """Every method may raise OSError. ``directory`` is where the three files are, ``lock`` a file to lock them by."""

    directory: Path
    lock: Path

    def check_free(self) -> None:
        """Raises ConflictError when something is there that would be lost."""

    def create(self, url: str, material: TLSMaterial) -> None: ...

    def replace(self, material: TLSMaterial) -> None:
        """All three files at one instant."""

    def url(self) -> str:
        """The host as ``tcp://NAME:PORT``. Raises NotFoundError when it is not known."""

    def usage(self, url: str) -> str:
        """How the docker CLI is told to use it."""


class DirectoryPlace:
    """``named`` says whether the docker CLI has to be told where it is."""

    def __init__(self, directory: Path, named: bool) -> None:
        self.directory = directory
        self.lock = directory / _LOCK_FILE
        self._named = named

    def __str__(self) -> str:
        return str(self.directory)

    def check_free(self) -> None:
        check_out(self.directory, None)

    def create(self, url: str, material: TLSMaterial) -> None:
        write_out(self.directory, material, {_HOST_FILE: f"{url}\n".encode()})

    def replace(self, material: TLSMaterial) -> None:
        replace_linked(self.directory, modes_of(material))

    def url(self) -> str:
        path = self.directory / _HOST_FILE
        if path.exists():
            return path.read_text().strip()
        host = os.environ.get("DOCKER_HOST", "")
        if not host.startswith("tcp://"):
            raise NotFoundError(f"{self.directory} does not say of which host it is: say --host HOST:PORT")
        return host

    def usage(self, url: str) -> str:
        words = f"export DOCKER_HOST={url} DOCKER_TLS_VERIFY=1"
        return f"{words} DOCKER_CERT_PATH={self.directory.absolute()}" if self._named else words


class ContextPlace:
    """The context ``name`` of the docker CLI."""

    def __init__(self, config: Path, name: str) -> None:
        self._context = DockerContext(config, name)
        self.directory = self._context.tls_directory
        self.lock = config / _LOCK_FILE  # what lies beside the keys counts as a part of the context

    def __str__(self) -> str:
        return f"context {self._context.name}"

    def check_free(self) -> None:
        if self._context.exists():
            raise ConflictError(f"there is a context {self._context.name} already: remove it, or choose another name")

    def create(self, url: str, material: TLSMaterial) -> None:
        self._context.create(url, material)

    def replace(self, material: TLSMaterial) -> None:
        self._context.replace_tls(material)

    def url(self) -> str:
        return self._context.host()

    def usage(self, url: str) -> str:
        return f"docker --context {self._context.name} version"


def named_place(args: argparse.Namespace) -> Place:
    """Of ``--context NAME`` or ``--out DIR``; the docker CLI's own place when neither was given."""
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    if args.context:
        return ContextPlace(config, args.context)
    if args.out:
        return DirectoryPlace(args.out, named=True)
    return DirectoryPlace(config, named="DOCKER_CONFIG" in os.environ)
