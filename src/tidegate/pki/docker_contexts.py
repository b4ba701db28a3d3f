"""The docker CLI's contexts on disk, as far as a context with client certificates needs them.

Layout (docker/cli, cli/context/store), ID being the SHA-256 of the name: ``contexts/meta/ID/meta.json`` and
``contexts/tls/ID/docker/{ca,cert,key}.pem`` under DOCKER_CONFIG. Each of the two directories appears whole, by a
rename; that of the keys first, so that no context is listed without them. New keys change places with the old.
"""

import hashlib
import json
import secrets
import shutil
from pathlib import Path

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.pki.context_archive import TLSMaterial
from tidegate.pki.durable_files import (
    PRIVATE_MODE,
    PUBLIC_MODE,
    make_private_directory,
    sync_directory,
    write_durably,
)
from tidegate.pki.paired_files import exchange


class DockerContext:
    """The context ``name`` under the configuration directory ``config``. Every method may raise OSError."""

    def __init__(self, config: Path, name: str) -> None:
        identifier = hashlib.sha256(name.encode()).hexdigest()
        self.name = name
        self._meta = config / "contexts/meta" / identifier
        self._tls = config / "contexts/tls" / identifier
        self.tls_directory = self._tls / "docker"

    def exists(self) -> bool:
        return self._meta.exists()

    def create(self, host: str, material: TLSMaterial) -> None:
        """Raises ConflictError when there is one of this name."""
        if self.exists():
            raise ConflictError(f"there is a context {self.name} already: remove it, or choose another name")
        if self._tls.exists():
            shutil.rmtree(self._tls)  # of a creation that was cut short
        meta = {
            "Name": self.name,
            "Metadata": {},
            "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}},
        }
        _appear(self._tls, _endpoint(material), PRIVATE_MODE)
        _appear(self._meta, {"meta.json": json.dumps(meta).encode()}, PUBLIC_MODE)

    def replace_tls(self, material: TLSMaterial) -> None:
        """New certificates for the same host, all at once; what a killed replacement left goes with the old ones."""
        fresh = _build(self._tls, _endpoint(material), PRIVATE_MODE)
        exchange(fresh, self._tls)
        for leftover in _temporaries(self._tls):
            shutil.rmtree(leftover)

    def host(self) -> str:
        """Where it leads. Raises NotFoundError for no such context, InvalidParameterError for one without a host."""
        try:
            document = json.loads((self._meta / "meta.json").read_text())
            return str(document["Endpoints"]["docker"]["Host"])
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no context {self.name}: see `docker context ls`") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidParameterError(f"the context {self.name} names no docker host") from error


def _endpoint(material: TLSMaterial) -> dict[str, bytes]:
    return {f"docker/{name}": content for name, content in material.files().items()}


def _appear(directory: Path, files: dict[str, bytes], mode: int) -> None:
    """Make ``directory`` with ``files`` in it, all at once."""
    temporary = _build(directory, files, mode)
    try:
        temporary.rename(directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_directory(directory.parent)


def _build(directory: Path, files: dict[str, bytes], mode: int) -> Path:
    """A directory beside ``directory`` that can take its place."""
    make_private_directory(directory.parent)
    temporary = directory.with_name(f".{directory.name}.{secrets.token_hex(6)}.tmp")
    try:
        for name, content in files.items():
            path = temporary / name
            make_private_directory(path.parent)
            write_durably(path, content, mode)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return temporary


def _temporaries(directory: Path) -> list[Path]:
    return list(directory.parent.glob(f".{directory.name}.*.tmp"))
