"""Telling a client, in the headers of its answers, when its certificate ends. Pure.

``Tidegate-Certificate-Expires`` is always there; in the last quarter of the certificate's life a ``Warning`` (RFC 7234,
section 5.5, code 299) says what to do. Who renews by himself, from half of it on, never sees one.
"""

from functools import lru_cache

from tidegate.http.dates import http_date
from tidegate.pki.der import CertificateFacts

EXPIRES = "Tidegate-Certificate-Expires"
_HOUR_S, _DAY_S = 3600, 86400


def expiry_headers(facts: CertificateFacts, now_s: float) -> tuple[tuple[str, str], ...]:
    """Of the client's certificate."""
    expires = _expires(facts.not_after_s)
    left_s = facts.not_after_s - now_s
    if left_s > (facts.not_after_s - facts.not_before_s) / 4:
        return (expires,)
    text = f"the client certificate ends in {_span(left_s)}: renew it with `tidegate client renew`"
    return (expires, ("Warning", f'299 tidegate "{text}"'))


@lru_cache(1024)
def _expires(not_after_s: int) -> tuple[str, str]:
    return EXPIRES, http_date(not_after_s)


def _span(seconds: float) -> str:
    for size, name in ((_DAY_S, "days"), (_HOUR_S, "hours")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name}"
    return f"{max(0, int(seconds // 60))} minutes"
