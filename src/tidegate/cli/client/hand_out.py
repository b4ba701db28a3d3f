"""Writing a client's certificate where it was asked for: three files, or an archive for ``docker context import``."""

import sys
from collections.abc import Mapping
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


def write_out(directory: Path, material: "TLSMaterial", others: Mapping[str, bytes] | None = None) -> None:
    """``ca.pem``, ``cert.pem`` and ``key.pem``, replaced together, with ``others`` beside them. Raises OSError."""
    from tidegate.pki.durable_files import PUBLIC_MODE, make_private_directory, write_together

    make_private_directory(directory)
    beside = {name: (content, PUBLIC_MODE) for name, content in (others or {}).items()}
    write_together(directory, {**modes_of(material), **beside})


def modes_of(material: "TLSMaterial") -> dict[str, tuple[bytes, int]]:
    """The three files with their modes: the key is its owner's alone."""
    from tidegate.pki.durable_files import PRIVATE_MODE, PUBLIC_MODE

    files = material.files().items()
    return {name: (content, PRIVATE_MODE if name == "key.pem" else PUBLIC_MODE) for name, content in files}


def check_context(authority: "Authority", path: Path, host: str) -> None:
    """Raises NotFoundError when there is no place for the archive; warns of a host that the server's names lack."""
    if not path.parent.is_dir():
        raise NotFoundError(f"no directory {path.parent} to write {path.name} in")
    warn_unless_certified(authority, parse_context_host(host)[1])


def write_context(path: Path, name: str, host: str, material: "TLSMaterial") -> None:
    """Raises OSError."""
    from tidegate.pki.context_archive import build_context_archive
    from tidegate.pki.durable_files import PRIVATE_MODE, write_durably

    write_durably(path, build_context_archive(name, parse_context_host(host)[0], material), PRIVATE_MODE)


def reachable_name(authority: "Authority") -> str:
    """The server's name most likely to be known elsewhere: a full name, an address, then any. Raises NotFoundError."""
    import ipaddress

    from tidegate.pki.certificates import alternative_names, decode_certificate

    path = authority.server_directory / "cert.pem"
    if not path.exists():
        raise NotFoundError("no server certificate to name the host by: run `tidegate pki init` first")
    names = alternative_names(decode_certificate(path.read_bytes(), str(path)))

    def rank(name: str) -> int:
        try:
            return 4 if ipaddress.ip_address(name).is_loopback else 2
        except ValueError:
            return 5 if name.split(".")[0] in ("localhost", "*") else 1 if "." in name else 3

    best = min(names, key=rank)
    return f"[{best}]" if ":" in best else best


def warn_unless_certified(authority: "Authority", host_name: str) -> None:
    """On standard error, with the mend."""
    from tidegate.pki.certificates import alternative_names, decode_certificate

    path = authority.server_directory / "cert.pem"
    if path.exists() and host_name not in alternative_names(decode_certificate(path.read_bytes(), str(path))):
        hint = f"run `tidegate pki server --tls-san {host_name}`"
        print(f"warning: the server's certificate does not name {host_name}; {hint}", file=sys.stderr)
