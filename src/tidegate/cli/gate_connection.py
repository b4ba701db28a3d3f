"""Asking a gate on 2376 for a certificate, from the other machine: two handshakes, the first one trusting nobody.

- The first connection only fetches the CA's certificate, which is public; it is believed when its digest is the one in
  the token. Everything that matters goes over a second one, verified by that CA, the server's name included.
- Every failure is one error that says what to mend.
"""

import http.client
import json
import socket
import ssl
from typing import Any

import msgspec

from tidegate.base.errors import (
    InternalError,
    InvalidParameterError,
    TidegateError,
    UnauthorizedError,
    UnavailableError,
)
from tidegate.http.errors import STATUS
from tidegate.pki.der import split_pem
from tidegate.pki.joining.tokens import JoinToken
from tidegate.pki.names import parse_context_host
from tidegate.spec.enrolment import AUTHORITY

TIMEOUT_S = 5.0
_ANSWER_BYTES = 1024 * 1024
_KINDS: dict[int, type[TidegateError]] = {429: UnavailableError, **{status: kind for kind, status in STATUS.items()}}


class GateAddress(msgspec.Struct, frozen=True):
    """Where the gate is: a name or literal address, and a port."""

    host: str
    port: int

    @classmethod
    def of(cls, host: str) -> "GateAddress":
        """Of ``[tcp://]NAME[:PORT]``. Raises InvalidParameterError."""
        url, name = parse_context_host(host)
        return cls(name, int(url.rpartition(":")[2]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def fetch_authority(address: GateAddress, token: JoinToken) -> str:
    """The certificate (PEM) of the CA that ``token`` names. Raises UnauthorizedError if the gate shows another one."""
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    bundle = _ask(address, unverified, "GET", AUTHORITY, None).decode("utf-8", "replace")
    for der in split_pem(bundle, f"what {address} sent as its CA"):
        if token.fits(der):
            return ssl.DER_cert_to_PEM_cert(der)
    raise UnauthorizedError(
        f"{address} shows another CA than the one in the token: either the token is for another gate or its CA was "
        "changed, or somebody is in between; ask for another token"
    )


def post(address: GateAddress, context: ssl.SSLContext, path: str, document: bytes) -> bytes:
    """The answer's body. Raises what the gate refuses with; UnavailableError when it cannot be reached."""
    return _ask(address, context, "POST", path, document)


def verifying(ca_pem: str) -> ssl.SSLContext:
    """Trusts ``ca_pem`` and nothing else, and checks the server's name. Raises InvalidParameterError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=ca_pem)
    except ssl.SSLError as error:
        raise InvalidParameterError(f"the CA is no certificate: {error}") from error
    return context


def _ask(address: GateAddress, context: ssl.SSLContext, method: str, path: str, document: bytes | None) -> bytes:
    connection = http.client.HTTPSConnection(address.host, address.port, timeout=TIMEOUT_S, context=context)
    headers = {"Content-Type": "application/json"} if document is not None else {}
    try:
        connection.request(method, path, document, headers)
        response = connection.getresponse()
        body = response.read(_ANSWER_BYTES)
    except ssl.SSLCertVerificationError as error:
        raise UnauthorizedError(_explain(address, error)) from error
    except ssl.SSLError as error:
        raise UnavailableError(f"{address} did not complete the TLS handshake: {error.reason or error}") from error
    except socket.gaierror as error:
        raise UnavailableError(f"the name {address.host} cannot be resolved: {error.strerror}") from error
    except TimeoutError as error:
        raise UnavailableError(
            f"{address} did not answer within {TIMEOUT_S:.0f} s: is the port open to you?"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{address} cannot be asked: {_reason(error)}") from error
    finally:
        connection.close()
    if response.status >= 400:
        raise _refusal(address, response.status, body)
    return body


def _reason(error: Exception) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__


def _refusal(address: GateAddress, status: int, body: bytes) -> TidegateError:
    try:
        document: Any = json.loads(body)
    except ValueError:
        document = None
    message = document.get("message") if isinstance(document, dict) else None
    if not isinstance(message, str):
        return InternalError(f"{address} answered {status}: it is no tidegate gate, or something is in between")
    return _KINDS.get(status, InternalError)(message.removeprefix("tidegate: "))


def _explain(address: GateAddress, error: ssl.SSLCertVerificationError) -> str:
    reason = error.verify_message
    if "mismatch" in reason:
        mend = f"on the server, `tidegate pki server --tls-san {address.host}`"
        return f"the server's certificate is not for {address.host}: {mend}"
    if "not yet valid" in reason or "expired" in reason:
        return f"the certificate of {address} is not valid now ({reason}): compare the clocks of both machines"
    return f"the certificate of {address} is not of its CA ({reason}): somebody is in between, or the CA was changed"
