"""TLS contexts of a server, made of texts or files: versions, ciphers, whom to trust.

Python's binding of OpenSSL reads a certificate and its key from a path only. What has no path, as in a process that may
open no file, is put into a memfd(2) and named by its entry under /proc.
"""

import os
import ssl
from pathlib import Path

from tidegate.base.errors import InvalidParameterError


def server_context(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """A context that demands a client certificate signed by ``ca`` and by nothing else.

    Raises InvalidParameterError when a file is missing, malformed, mismatched or an encrypted key.
    """
    try:
        return context_of_texts(ca.read_text(), cert.read_text(), key.read_text())
    except (OSError, ValueError, InvalidParameterError) as error:
        raise InvalidParameterError(f"cannot load TLS files {ca}, {cert}, {key}: {error}") from error


def context_of_texts(ca_pem: str, certificate_pem: str, key_pem: str, *, optional: bool = False) -> ssl.SSLContext:
    """A context that trusts ``ca_pem`` and nothing else; ``optional`` admits clients without a certificate too.

    A client's certificate that cannot be verified fails the handshake either way. Raises InvalidParameterError when a
    text is malformed, certificate and key do not belong together, or the key is encrypted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
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
