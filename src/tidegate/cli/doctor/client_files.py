"""What a client has for a connection: ``ca.pem``, ``cert.pem`` and ``key.pem`` of one directory, read as facts."""

from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tidegate.pki.certificates import Purpose, has_purpose


class ClientFiles(msgspec.Struct, frozen=True):
    """``missing`` names the files that are not there, ``unreadable`` those that cannot be used, with the reason.

    ``is_pair`` says that certificate and key are there and belong together.
    """

    directory: Path
    ca_pem: str = ""
    certificate: x509.Certificate | None = None
    has_key: bool = False
    is_pair: bool = False
    missing: tuple[str, ...] = ()
    unreadable: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def certificate_path(self) -> Path:
        return self.directory / "cert.pem"

    @property
    def key_path(self) -> Path:
        return self.directory / "key.pem"

    @property
    def is_for_clients(self) -> bool:
        return self.certificate is not None and has_purpose(self.certificate, Purpose.CLIENT)

    def validity(self) -> tuple[datetime, datetime] | None:
        """From when until when the client's certificate is good."""
        if self.certificate is None:
            return None
        return self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc


def read_client_files(directory: Path) -> ClientFiles:
    """Never raises: what is wrong with a file is a fact about it."""
    contents: dict[str, bytes] = {}
    missing, unreadable = [], {}
    for name in ("ca.pem", "cert.pem", "key.pem"):
        try:
            contents[name] = directory.joinpath(name).read_bytes()
        except FileNotFoundError:
            missing.append(name)
        except OSError as error:
            unreadable[name] = error.strerror or str(error)
    authorities = _certificates("ca.pem", contents, unreadable)
    certificates = _certificates("cert.pem", contents, unreadable)
    public = _public_key(contents, unreadable)
    certificate = certificates[0] if certificates else None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    is_pair = certificate is not None and public == certificate.public_key().public_bytes(*form)
    return ClientFiles(
        directory,
        ca_pem="".join(each.public_bytes(Encoding.PEM).decode() for each in authorities),
        certificate=certificate,
        has_key=bool(public),
        is_pair=is_pair,
        missing=tuple(missing),
        unreadable=unreadable,
    )


def _certificates(name: str, contents: dict[str, bytes], unreadable: dict[str, str]) -> list[x509.Certificate]:
    if name not in contents:
        return []
    try:
        return x509.load_pem_x509_certificates(contents[name])
    except ValueError:
        unreadable[name] = "not a certificate in PEM"
        return []


def _public_key(contents: dict[str, bytes], unreadable: dict[str, str]) -> bytes:
    if "key.pem" not in contents:
        return b""
    try:
        key = load_pem_private_key(contents["key.pem"], password=None)
    except TypeError:
        unreadable["key.pem"] = "encrypted: Docker's clients cannot use it"
    except ValueError:
        unreadable["key.pem"] = "not a private key in PEM"
    else:
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b""
