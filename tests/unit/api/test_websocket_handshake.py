"""What is a WebSocket handshake, and from whose page."""

import pytest

from tidegate.api.websocket import check_handshake
from tidegate.base.errors import ForbiddenError, InvalidParameterError
from tidegate.http.messages import Headers

GOOD = {
    "Host": "engine:2376",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def check(**changed: str) -> str:
    names = {name.replace("_", "-"): value for name, value in changed.items()}
    return check_handshake(Headers({**GOOD, **names}.items()))


def test_a_handshake_is_proved() -> None:
    assert check() == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert check(Origin="https://engine:2376") == check()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"Upgrade": "tcp"}, "not a WebSocket handshake"),
        ({"Connection": "close"}, "not a WebSocket handshake"),
        ({"Sec_WebSocket_Version": "8"}, "version 13 is needed"),
        ({"Sec_WebSocket_Key": "x"}, "invalid Sec-WebSocket-Key"),
    ],
)
def test_what_is_none_says_what_is_missing(changed: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        check(**changed)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://engine:1", "https://engine:2376.evil"])
def test_a_page_of_another_site_may_not_use_the_browser_s_certificate(origin: str) -> None:
    with pytest.raises(ForbiddenError, match="may not open a WebSocket here"):
        check(Origin=origin)
