"""Whether a certificate of another CA still stands, by its OCSP responder; each is asked about once for all workers.

- What was said is remembered for as long as the responder says, and for STANDING_S at most: a revocation is seen by
  then.
- It is asked again before that runs out, so that nobody in good standing is cut in between.
- Fail closed: without an answer that may be relied on the certificate is not admitted, unless ``admit_unchecked``.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from tidegate.base.errors import UnavailableError
from tidegate.pki.der import fingerprint, split_pem
from tidegate.pki.registrar_messages import CertificateStatus, CheckOCSP

FROM_CERTIFICATE = "from-certificate"
STANDING_S = 300
_UNCHECKED_S = 60
_AHEAD_S = 30
_TIMEOUT_S = 5.0
_ANSWER_BYTES = 64 * 1024
_MOST_REMEMBERED = 10_000
_AT_ONCE = 8
_log = logging.getLogger("tidegate.registrar")


class OCSPSettings(msgspec.Struct, frozen=True):
    """``responder`` is a URL, or FROM_CERTIFICATE to ask where each certificate says."""

    responder: str
    admit_unchecked: bool = False


class OCSPChecks:
    """``authorities`` gives the trusted CAs in PEM, as they are now."""

    def __init__(
        self,
        settings: OCSPSettings,
        authorities: Callable[[], str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._authorities = authorities
        self._now = now
        self._threads = ThreadPoolExecutor(_AT_ONCE, "registrar-ocsp")
        self._known: dict[str, CertificateStatus] = {}
        self._asking: dict[str, asyncio.Task[CertificateStatus]] = {}

    async def check(self, request: CheckOCSP) -> CertificateStatus:
        """Raises UnavailableError without an answer, InvalidParameterError for a certificate of no trusted CA."""
        known_as = fingerprint(split_pem(request.certificate_pem, "the certificate to check")[0])
        known = self._known.get(known_as)
        now_s = self._now().timestamp()
        if known is not None and known.until_s - _AHEAD_S > now_s:
            return known
        asking = self._asking.get(known_as)
        if asking is None:
            asking = asyncio.create_task(self._ask(request.certificate_pem, known_as), name="registrar-ocsp")
            self._asking[known_as] = asking
            asking.add_done_callback(lambda _: self._asking.pop(known_as))
        try:
            return await asyncio.shield(asking)
        except UnavailableError:
            if known is not None and known.until_s > now_s:
                return known
            raise

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, certificate_pem: str, known_as: str) -> CertificateStatus:
        loop = asyncio.get_running_loop()
        try:
            status = await loop.run_in_executor(self._threads, self._look_up, certificate_pem)
        except UnavailableError as error:
            if not self._settings.admit_unchecked:
                raise
            _log.warning("a certificate is admitted unchecked: %s", error.message)
            status = CertificateStatus("unchecked", int(self._now().timestamp()) + _UNCHECKED_S)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[known_as] = status
        return status

    def _look_up(self, certificate_pem: str) -> CertificateStatus:
        from tidegate.pki import certificates as certs  # the library for certificates: not for nothing
        from tidegate.pki.foreign import ocsp

        certificate = certs.decode_certificate(certificate_pem.encode(), "the certificate to check")
        authorities = certs.decode_certificates(self._authorities().encode(), "the trusted CAs")
        question = ocsp.Question(certificate, ocsp.find_issuer(certificate, authorities), secrets.token_bytes(32))
        url = self._settings.responder
        if url == FROM_CERTIFICATE:
            url = ocsp.responder_url(certificate)
        now = self._now()
        standing = ocsp.read_answer(question, post(url, question.encode()), now)
        until = min(standing.until, now + timedelta(seconds=STANDING_S))
        return CertificateStatus(standing.status, int(until.timestamp()))


def post(url: str, question: bytes) -> bytes:
    """The responder's answer (RFC 6960, appendix A). Raises UnavailableError."""
    import http.client  # of no use to a registrar without a responder

    parts = urlsplit(url)
    kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}.get(parts.scheme)
    if kind is None or not parts.hostname:
        raise UnavailableError(f"{url!r} is no URL of an OCSP responder")
    try:
        connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT_S)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("POST", target, question, {"Content-Type": "application/ocsp-request"})
            response = connection.getresponse()
            answer: bytes = response.read(_ANSWER_BYTES)
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UnavailableError(f"the OCSP responder {url} does not answer: {error}") from error
    if response.status != 200:
        raise UnavailableError(f"the OCSP responder {url} answers {response.status}")
    return answer
