"""Telling a client, in the headers of its answers and in ``docker info``, when its certificate ends. Pure.

``Tidegate-Certificate-Expires`` is always there; in the last quarter of the certificate's life a ``Warning`` (RFC 7234,
section 5.5, code 299) says what to do. Who renews by himself, from half of it on, never sees one. The stock CLI
shows no header; it does show the warnings of the answer to ``SystemInfo``.
"""

from functools import lru_cache

from tidegate.http.dates import http_date
from tidegate.pki.der import CertificateFacts

EXPIRES = "Tidegate-Certificate-Expires"
_HOUR_S, _DAY_S = 3600, 86400


def expiry_headers(facts: CertificateFacts, now_s: float) -> tuple[tuple[str, str], ...]:
    """Of the client's certificate."""
    expires, warning = _expires(facts.not_after_s), expiry_warning(facts, now_s)
    return (expires, ("Warning", f'299 tidegate "{warning}"')) if warning else (expires,)


def expiry_warning(facts: CertificateFacts, now_s: float) -> str:
    """What to do, and when; "" before the last quarter."""
    left_s = facts.not_after_s - now_s
    if left_s > (facts.not_after_s - facts.not_before_s) / 4:
        return ""
    return f"the client certificate ends in {_span(left_s)}: renew it with `tidegate client renew`"


def with_warning(info: object, warning: str) -> object:
    """The document of ``SystemInfo`` with one more warning, as the CLI shows them; what is no such document stays."""
    if not isinstance(info, dict):
        return info
    known = info.get("Warnings")
    return {**info, "Warnings": [*(known if isinstance(known, list) else ()), f"WARNING: {warning}"]}


@lru_cache(1024)
def _expires(not_after_s: int) -> tuple[str, str]:
    return EXPIRES, http_date(not_after_s)


def _span(seconds: float) -> str:
    for size, name in ((_DAY_S, "days"), (_HOUR_S, "hours")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name}"
    return f"{max(0, int(seconds // 60))} minutes"
