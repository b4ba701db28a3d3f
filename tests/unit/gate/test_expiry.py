"""What a client is told about the end of its certificate."""

import asyncio
import json

import pytest

from tidegate.access.principal import UnknownPrincipal
from tidegate.access.verdict import Verdict
from tidegate.gate.behind.authz_plugins import AuthzPlugins
from tidegate.gate.behind.forward import Sending
from tidegate.gate.expiry import expiry_headers, expiry_warning
from tidegate.gate.live import Identity
from tidegate.gate.screening import Screening
from tidegate.http.messages import Request, Response
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
    assert expiry_warning(FACTS, now_s) == text


def told(operation_id: str, warning: str, document: object) -> object:
    """What a client gets of the engine's answer."""
    request, sending = Request("GET", "/x"), Sending("GET", "/x", (), None)
    identity, verdict = Identity(UnknownPrincipal("")), Verdict(True, "", "")
    screening = Screening(AuthzPlugins([]), identity, request, sending, verdict, warning)
    answer = Response(200, [("Content-Type", "application/json")], json.dumps(document).encode())
    screened = asyncio.run(screening.screen(operation_id, answer))
    assert isinstance(screened, Response) and isinstance(screened.body, bytes)
    return json.loads(screened.body)


def test_the_cli_shows_it_as_a_warning_of_info() -> None:
    assert told("SystemInfo", "soon", {"ID": "x", "Warnings": None}) == {"ID": "x", "Warnings": ["WARNING: soon"]}
    two = told("SystemInfo", "soon", {"Warnings": ["WARNING: No swap limit support"]})
    assert two == {"Warnings": ["WARNING: No swap limit support", "WARNING: soon"]}
    assert told("SystemInfo", "", {"Warnings": None}) == {"Warnings": None}
    assert told("SystemVersion", "soon", {"Version": "1"}) == {"Version": "1"}
