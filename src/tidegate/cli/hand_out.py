"""Writing a client's certificate where it was asked for: three files, or an archive for ``docker context import``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.base.errors import ConflictError, NotFoundError
from tidegate.pki.names import parse_context_host

if TYPE_CHECKING:
    from tidegate.pki.authority import Authority
    from tidegate.pki.context_archive import TLSMaterial


def check_out(directory: Path, key: bytes | None) -> None:
    """Raises ConflictError when ``directory`` has another key, which would be lost."""
    present = directory / "key.pem"
    if present.exists() and present.read_bytes() != key:
        raise ConflictError(f"{present} is another key, which would be lost: choose another directory or move it away")


def write_out(directory: Path, material: "TLSMaterial") -> None:
    """``ca.pem``, ``cert.pem`` and ``key.pem``, each replaced whole. Raises OSError."""
    from tidegate.pki.durable_files import PRIVATE_MODE, PUBLIC_MODE, make_private_directory, write_durably

    make_private_directory(directory)
    for file_name, content in material.files().items():
        write_durably(directory / file_name, content, PRIVATE_MODE if file_name == "key.pem" else PUBLIC_MODE)


def check_context(authority: "Authority", path: Path, host: str) -> None:
    """Raises NotFoundError when there is no place for the archive; warns of a host that the server's names lack."""
    if not path.parent.is_dir():
        raise NotFoundError(f"no directory {path.parent} to write {path.name} in")
    _warn_unless_certified(authority, parse_context_host(host)[1])


def write_context(path: Path, name: str, host: str, material: "TLSMaterial") -> None:
    """Raises OSError."""
    from tidegate.pki.context_archive import build_context_archive
    from tidegate.pki.durable_files import PRIVATE_MODE, write_durably

    write_durably(path, build_context_archive(name, parse_context_host(host)[0], material), PRIVATE_MODE)


def _warn_unless_certified(authority: "Authority", host_name: str) -> None:
    from tidegate.pki.certificates import alternative_names, decode_certificate

    path = authority.server_directory / "cert.pem"
    if path.exists() and host_name not in alternative_names(decode_certificate(path.read_bytes(), str(path))):
        hint = f"run `tidegate pki server --tls-san {host_name}`"
        print(f"warning: the server's certificate does not name {host_name}; {hint}", file=sys.stderr)
