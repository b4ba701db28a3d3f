"""The archive that ``docker context import NAME FILE`` reads: an endpoint with its TLS material, in one tar.

Format (docker/cli, cli/context/store): ``meta.json`` and ``tls/docker/{ca,cert,key}.pem``, clean relative paths, at
most 10 MiB. The name inside is only a suggestion: the import takes the one typed.
"""

import io
import json
import tarfile

import msgspec


class TLSMaterial(msgspec.Struct, frozen=True):
    """The three files a Docker client needs, as PEM."""

    ca: bytes
    certificate: bytes
    key: bytes

    def files(self) -> dict[str, bytes]:
        """By the names of ``~/.docker``; the key first, so that a half-written set is never one with no key."""
        return {"key.pem": self.key, "cert.pem": self.certificate, "ca.pem": self.ca}


def build_context_archive(name: str, host: str, material: TLSMaterial) -> bytes:
    """The tar for a context called ``name`` on ``host`` (``tcp://NAME:PORT``); the same input gives the same bytes."""
    meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, "meta.json", json.dumps(meta).encode(), 0o644)
        for file_name, content in sorted(material.files().items()):
            _add(archive, f"tls/docker/{file_name}", content, 0o600)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))
