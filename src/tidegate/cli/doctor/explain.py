"""Why a connection does not work, in one line, and how to mend it. Pure: from an Observation to a Diagnosis.

The most telling fact is asked first: what was not reached, what is wrong in our own files, what the server showed, what
it said of us. The twelve usual wrong set-ups each have an ``id`` of their own.
"""

import json
from datetime import datetime, timedelta

import msgspec
from cryptography import x509

from tidegate.cli.doctor.client_files import ClientFiles
from tidegate.cli.doctor.connection import Observation
from tidegate.pki.certificates import alternative_names

OK = "ok"
SKEW = timedelta(minutes=2)
_EXPIRED, _NOT_YET_VALID = 10, 9  # X509_V_ERR_...
_WRONG_NAME = (62, 64)
_NO_TLS = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "HTTP_REQUEST",
    "UNSUPPORTED_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
)
_API_MARKS = ("api-version", "docker-experimental", "libpod-api-version")
_PLAIN_TO_TLS = ("HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port")
_HOUR = timedelta(hours=1)


class Diagnosis(msgspec.Struct, frozen=True):
    """``mend`` is "" when all is well."""

    id: str
    what: str
    mend: str = ""


def explain(seen: Observation, now: datetime) -> Diagnosis:
    """The first cause that fits."""
    for look in (_reach, _protocol, _own_files, _server, _refusal, _answer):
        found = look(seen, now)
        if found is not None:
            return found
    what = f"the connection to {seen.target.url} failed: {seen.failure or 'no answer'}"
    return Diagnosis("unknown", what, "look at the server's log at that time")


def _reach(seen: Observation, _now: datetime) -> Diagnosis | None:
    url, proxy = seen.target.url, seen.target.proxy
    if seen.proxy_refusal:
        what = f"the proxy {proxy} of the environment stands in between and answers {seen.proxy_refusal}"
        return Diagnosis("proxy", what, f"put {seen.target.host} into NO_PROXY")
    if seen.unreachable and proxy:
        what = f"the proxy {proxy} of the environment cannot be reached: {seen.unreachable}"
        return Diagnosis("proxy", what, f"put {seen.target.host} into NO_PROXY")
    if seen.unreachable:
        mend = "check name, port, firewall, and that `tidegate up` or `tidegate gate` listens there (-H tcp://ADDRESS:2376)"
        return Diagnosis("unreachable", f"{url} cannot be reached: {seen.unreachable}", mend)
    return None


def _protocol(seen: Observation, _now: datetime) -> Diagnosis | None:
    url = seen.target.url
    if seen.target.tls:
        if seen.failure in _NO_TLS or (seen.failure == "TIMEOUT" and not seen.server_der):
            what = f"{url} does not speak TLS, and the client does"
            mend = "use the port with TLS (2376); if this is a plaintext 2375, close it: whoever reaches it is root"
            return Diagnosis("tls-to-plaintext", what, mend)
        return None
    if seen.raw[:1] in (b"\x15", b"\x16") or any(text in seen.body for text in _PLAIN_TO_TLS) or not seen.raw:
        what = f"{url} speaks TLS, and the client does not"
        return Diagnosis("plaintext-to-tls", what, "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH=DIR")
    return None


def _own_files(seen: Observation, now: datetime) -> Diagnosis | None:
    files = seen.files
    if not seen.target.tls or files is None:
        return None
    if "ca.pem" in files.missing:
        mend = "copy the server's ca.pem there (`tidegate client join`, or DATA_ROOT/pki/ca.pem)"
        return Diagnosis("wrong-ca", f"there is no ca.pem in {files.directory}, so no server can be trusted", mend)
    for name, reason in files.unreadable.items():
        return Diagnosis("unreadable", f"{files.directory / name} cannot be used: {reason}", "replace it")
    if files.certificate is not None and files.has_key and not files.is_pair:
        what = f"key.pem in {files.directory} is not the key of the cert.pem beside it"
        return Diagnosis("wrong-key", what, "take both from the same place: `tidegate client join`, or its archive")
    return _own_time(seen, files, now)


def _own_time(seen: Observation, files: ClientFiles, now: datetime) -> Diagnosis | None:
    validity = files.validity()
    if validity is None or validity[0] <= now < validity[1]:
        return None
    skewed = _skew(seen, now)
    if skewed is not None:
        return skewed
    start, end = validity
    if now >= end:
        what = f"the client's certificate has expired on {_date(end)}"
        return Diagnosis("expired", what, "`tidegate client renew`, or ask for a new invitation")
    what = f"the client's certificate is not valid before {_date(start)}"
    return Diagnosis(
        "not-yet-valid", what, f"wait until then, or correct this machine's clock, which shows {_date(now)}"
    )


def _skew(seen: Observation, now: datetime) -> Diagnosis | None:
    """By the server's own clock, when an answer told it."""
    server_s = seen.server_time_s
    if server_s is None or abs(server_s - now.timestamp()) < SKEW.total_seconds():
        return None
    ahead = "behind" if server_s > now.timestamp() else "ahead of"
    apart = timedelta(seconds=round(abs(server_s - now.timestamp())))
    what = f"this machine's clock is {apart} {ahead} the server's, so that certificates look expired or not yet valid"
    return Diagnosis("clock-skew", what, "set both clocks by NTP (`timedatectl set-ntp true`)")


def _server(seen: Observation, now: datetime) -> Diagnosis | None:
    """The certificate that the server showed, when it was not accepted here."""
    if not seen.verify_code:
        return None
    certificate = x509.load_der_x509_certificate(seen.server_der) if seen.server_der else None
    if seen.verify_code in (_EXPIRED, _NOT_YET_VALID) and certificate is not None:
        return _server_time(seen, certificate, now)
    if seen.verify_code in _WRONG_NAME and certificate is not None:
        names = ", ".join(alternative_names(certificate)) or "no name at all"
        what = f"the server's certificate is for {names}, not for {seen.target.host}"
        mend = f"connect by one of those names, or there: `tidegate pki server --tls-san {seen.target.host}`"
        return Diagnosis("wrong-name", what, mend)
    issuer = certificate.issuer.rfc4514_string() if certificate is not None else "an unknown CA"
    if seen.is_publicly_trusted or seen.target.proxy:
        what = f"a proxy stands in between and shows a certificate of its own, by {issuer}"
        return Diagnosis("proxy", what, f"put {seen.target.host} into NO_PROXY, or have TLS passed through untouched")
    place = seen.files.directory if seen.files is not None else "the certificate path"
    what = f"the server's certificate is by {issuer}, which is no CA of ca.pem in {place}"
    return Diagnosis(
        "wrong-ca", what, "copy that server's own ca.pem there; if it should be the right one, somebody is in between"
    )


def _server_time(seen: Observation, certificate: x509.Certificate, now: datetime) -> Diagnosis:
    skewed = _skew(seen, now)
    if skewed is not None:
        return skewed
    if seen.verify_code == _NOT_YET_VALID:
        start = certificate.not_valid_before_utc
        what = f"the server's certificate begins {_date(start)}, and this machine's clock shows {_date(now)}"
        return Diagnosis("clock-skew", what, "set both clocks by NTP (`timedatectl set-ntp true`)")
    what = f"the server's certificate has expired on {_date(certificate.not_valid_after_utc)}"
    return Diagnosis("expired", what, "there: `tidegate pki server --days 90`; it is taken up without a restart")


def _refusal(seen: Observation, now: datetime) -> Diagnosis | None:
    """What the server said of us, by a TLS alert (RFC 8446, section 6)."""
    reason, files = seen.failure.upper(), seen.files
    has_certificate = files is not None and files.is_pair
    if not reason or not seen.target.tls:
        return None
    if not has_certificate and ("CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or reason == "RESET"):
        return _no_certificate(seen)
    if "REVOKED" in reason:
        return _revoked("")
    if files is not None and has_certificate and not files.is_for_clients:
        what = f"cert.pem in {files.directory} is not made for clients (extended key usage)"
        return Diagnosis("wrong-purpose", what, "ask for a client's certificate: `tidegate client invite NAME`")
    if "UNKNOWN_CA" in reason:
        return Diagnosis("wrong-ca", "the server does not know the CA of the client's certificate", _ASK_THERE)
    if "EXPIRED" in reason or "BAD_CERTIFICATE" in reason:
        return _time_there(seen, now, "EXPIRED" in reason)
    return None


_ASK_THERE = "ask for one of that server's: `tidegate client invite NAME` there, `tidegate client join` here"


def _no_certificate(seen: Observation) -> Diagnosis:
    files = seen.files
    lacking = " and ".join(name for name in (files.missing if files is not None else ()) if name != "ca.pem")
    place = files.directory if files is not None else "the certificate path"
    missing = f": there is no {lacking} in {place}" if lacking else ""
    return Diagnosis("no-certificate", f"the server wants a client certificate, and none was sent{missing}", _ASK_THERE)


def _revoked(message: str) -> Diagnosis:
    what = f"the client's certificate was revoked{f' ({message})' if message else ''}"
    return Diagnosis("revoked", what, "ask the administrator why, and for a new invitation")


def _time_there(seen: Observation, now: datetime, expired: bool) -> Diagnosis:
    """Here the certificate is valid and there it is not: two clocks."""
    validity = seen.files.validity() if seen.files is not None else None
    if validity is None:
        return Diagnosis("clock-skew", "the server finds a certificate outside its time", "compare both clocks")
    start, end = validity
    near = end if expired else start
    what = (
        f"the server finds the client's certificate {'expired' if expired else 'not valid yet'}, and here it is valid "
    )
    what += f"({_date(start)} to {_date(end)}; this machine's clock shows {_date(now)})"
    if not expired and now - near > 24 * _HOUR:
        return Diagnosis("bad-certificate", "the server refuses the client's certificate as malformed", _ASK_THERE)
    return Diagnosis("clock-skew", what, "set both clocks by NTP (`timedatectl set-ntp true`)")


def _answer(seen: Observation, now: datetime) -> Diagnosis | None:
    """An answer in HTTP."""
    if not seen.status:
        return None
    message = _message(seen.body)
    is_engine = any(mark in seen.headers for mark in _API_MARKS) or "message" in _json(seen.body)
    if not is_engine:
        who = seen.headers.get("via") or seen.headers.get("server") or "something that is no engine"
        what = f"a proxy stands in between: {who} answers {seen.status} in place of the engine"
        mend = "have it pass TLS through untouched (no termination), or connect to the engine's own address"
        return Diagnosis("proxy", what, mend)
    if seen.status in (401, 403):
        return _refused(seen, message)
    skewed = _skew(seen, now)
    if skewed is not None:
        return skewed
    if seen.status != 200:
        return Diagnosis("unhealthy", f"the server answers {seen.status}: {message}", "look at its log")
    if not seen.target.tls:
        what = f"{seen.target.url} answers without TLS: whoever reaches it is root there"
        return Diagnosis("plaintext", what, "close it, and serve 2376 with TLS")
    return Diagnosis(OK, f"{seen.target.url} answers{_as_whom(seen, now)}")


def _refused(seen: Observation, message: str) -> Diagnosis:
    """401 or 403, with the engine's message."""
    if "revoked" in message:
        return _revoked(message)
    if seen.files is not None and not seen.files.is_pair:
        return _no_certificate(seen)
    what = f"the server knows this client and refuses it: {message}"
    return Diagnosis("refused", what, "ask for another role there")


def _as_whom(seen: Observation, now: datetime) -> str:
    files = seen.files
    validity = files.validity() if files is not None else None
    if files is None or files.certificate is None or validity is None:
        return ""
    left = (validity[1] - now).days
    return f" to {files.certificate.subject.rfc4514_string()}, whose certificate is good for {left} more days"


def _message(body: str) -> str:
    found = _json(body).get("message", "")
    return found if isinstance(found, str) and found else body.strip()[:200]


def _json(body: str) -> dict[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
