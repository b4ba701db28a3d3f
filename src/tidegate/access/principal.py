"""The client's identity, as the front door established it.

A certificate's subject names the person or machine; its serial number and fingerprint name the certificate itself, so
that one of several can be revoked. A unix peer is known by its uid and gid, which the kernel vouches for (unix(7),
SO_PEERCRED).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec


class CertificatePrincipal(msgspec.Struct, frozen=True):
    """A client known by a verified certificate; ``serial_number`` is upper-case hexadecimal."""

    common_name: str
    organizations: tuple[str, ...]
    organizational_units: tuple[str, ...]
    uris: tuple[str, ...]
    serial_number: str

    def __str__(self) -> str:
        return f"CN={self.common_name}"


class UnixPrincipal(msgspec.Struct, frozen=True):
    """A client known by the credentials of its unix socket."""

    uid: int
    gid: int
    pid: int

    def __str__(self) -> str:
        return f"uid={self.uid}"


class UnknownPrincipal(msgspec.Struct, frozen=True):
    """A client on a plaintext TCP listener: nobody vouches for anything but its address, "host:port"."""

    address: str

    def __str__(self) -> str:
        return f"address={self.address}"


Principal = CertificatePrincipal | UnixPrincipal | UnknownPrincipal


def owner_of(principal: Principal) -> str:
    """The name that goes into the owner label of what ``principal`` creates.

    A certificate is known by its common name, so that it may be renewed; one without, by its first URI or its serial
    number. No certificate can take the name of a unix peer, or of what administrators made.
    """
    if isinstance(principal, UnixPrincipal):
        return f"uid:{principal.uid}"
    if isinstance(principal, UnknownPrincipal):
        return f"address:{principal.address.rpartition(':')[0]}"
    if not principal.common_name:
        return next(iter(principal.uris), f"serial:{principal.serial_number}")
    taken = principal.common_name.startswith(("uid:", "address:", "serial:", "admin:"))
    return f"cn:{principal.common_name}" if taken else principal.common_name


def principal_from_certificate(certificate: Mapping[str, Any]) -> CertificatePrincipal:
    """Read the shape that ``ssl.SSLObject.getpeercert()`` returns for a certificate that was verified."""
    subject = [pair for relative_name in certificate.get("subject", ()) for pair in relative_name]
    return CertificatePrincipal(
        common_name=next(iter(_values(subject, "commonName")), ""),
        organizations=tuple(_values(subject, "organizationName")),
        organizational_units=tuple(_values(subject, "organizationalUnitName")),
        uris=tuple(_values(certificate.get("subjectAltName", ()), "URI")),
        serial_number=str(certificate.get("serialNumber", "")),
    )


def _values(pairs: Iterable[Sequence[str]], kind: str) -> list[str]:
    return [value for name, value in pairs if name == kind]
