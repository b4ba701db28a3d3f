"""What a client is told about the end of its certificate."""

import pytest

from tidegate.gate.expiry import expiry_headers
from tidegate.pki.der import CertificateFacts

DAY = 86400
FACTS = CertificateFacts("0A", "issuer", "subject", 0, 80 * DAY, "f")


@pytest.mark.parametrize("now_s", [0, 40 * DAY, 59.9 * DAY])
def test_most_of_the_time_only_the_date(now_s: float) -> None:
    assert expiry_headers(FACTS, now_s) == (("Tidegate-Certificate-Expires", "Sun, 22 Mar 1970 00:00:00 GMT"),)


@pytest.mark.parametrize(
    ("now_s", "left"),
    [(60 * DAY, "20 days"), (78.5 * DAY, "36 hours"), (80 * DAY - 5400, "90 minutes"), (81 * DAY, "0 minutes")],
)
def test_in_the_last_quarter_what_to_do(now_s: float, left: str) -> None:
    _, warning = expiry_headers(FACTS, now_s)
    text = f"the client certificate ends in {left}: renew it with `tidegate client renew`"
    assert warning == ("Warning", f'299 tidegate "{text}"')
