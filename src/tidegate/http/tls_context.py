"""TLS contexts of a server, made of texts or files: versions, ciphers, whom to trust.

Python's binding of OpenSSL reads a certificate and its key from a path only. What has no path, as in a process that may
open no file, is put into a memfd(2) and named by its entry under /proc.
"""

import os
import ssl
from enum import StrEnum

from tidegate.base.errors import InvalidParameterError


class TLSProfile(StrEnum):
    """Mozilla's server side recommendations, version 5.7: ``modern`` is TLS 1.3 alone, ``intermediate`` 1.2 besides.

    Which groups are offered is ``openssl.cnf``'s: this binding can set one only.
    """

    MODERN = "modern"
    INTERMEDIATE = "intermediate"


def context_of_texts(
    ca_pem: str,
    certificate_pem: str,
    key_pem: str,
    *,
    optional: bool = False,
    profile: TLSProfile = TLSProfile.INTERMEDIATE,
) -> ssl.SSLContext:
    """A context that trusts ``ca_pem`` and nothing else; ``optional`` admits clients without a certificate too.

    A client's certificate that cannot be verified fails the handshake either way. Raises InvalidParameterError when a
    text is malformed, certificate and key do not belong together, or the key is encrypted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    modern = profile is TLSProfile.MODERN
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if modern else ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cadata=ca_pem)
        load_pair(context, certificate_pem, key_pem)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise InvalidParameterError(f"unusable TLS material: {error}") from error
    return context


def load_pair(context: ssl.SSLContext, certificate_pem: str, key_pem: str) -> None:
    """Raises OSError (``ssl.SSLError`` is one) or ValueError when they cannot be used together."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as memory:
        memory.write(f"{certificate_pem}\n{key_pem}\n".encode())
        memory.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_refuse_password)


def _refuse_password() -> str:
    raise ValueError("encrypted private keys are not supported")
