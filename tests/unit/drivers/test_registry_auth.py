"""Challenges and token requests of registries."""

import pytest

from tidegate.base.errors import UnauthorizedError, UnavailableError
from tidegate.drivers.registry.auth import (
    TokenRequest,
    authorize,
    log_in,
    parse_challenge,
    plan_login_request,
    plan_token_request,
)
from tidegate.engine.ports import RegistryAuth

BEARER = parse_challenge('Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull"')
USER = RegistryAuth(username="u", password="p")


def test_challenge() -> None:
    assert BEARER.scheme == "bearer"
    assert BEARER.parameters == {
        "realm": "https://auth.example/token",
        "service": "reg",
        "scope": "repository:a/b:pull",
    }
    assert parse_challenge("Basic realm=x").parameters == {"realm": "x"}
    with pytest.raises(UnavailableError):
        parse_challenge("")


def test_token_request() -> None:
    request = plan_token_request(BEARER, "a/b", USER, False)
    assert request.url == "https://auth.example/token?scope=repository%3Aa%2Fb%3Apull&service=reg"
    assert request.headers == {"Authorization": "Basic dTpw"}
    assert plan_token_request(BEARER, "a/b", None, False).headers == {}
    refresh = plan_token_request(BEARER, "a/b", RegistryAuth(identity_token="t"), False)
    assert refresh.method == "POST" and b"refresh_token=t" in (refresh.body or b"")


def test_a_login_asks_for_no_repository_and_for_an_identity_token() -> None:
    request = plan_login_request(BEARER, USER, False)
    query = "service=reg&account=u&client_id=tidegate&offline_token=true"
    assert request.url == f"https://auth.example/token?{query}"
    assert request.headers == {"Authorization": "Basic dTpw"}
    refresh = plan_login_request(BEARER, RegistryAuth(identity_token="t"), False)
    assert refresh.method == "POST" and b"scope" not in (refresh.body or b"")


class Registry:
    """Asks for a bearer token; the token service gives ``answer``."""

    def __init__(self, answer: tuple[int, bytes]) -> None:
        self.answer = answer

    def follow(self, url: str, headers: object, authorization: str | None) -> "Registry":
        self.status = 200 if authorization == "Bearer T" else 401
        return self

    def exchange(self, request: TokenRequest) -> tuple[int, bytes]:
        return self.answer

    def getheader(self, name: str) -> str:
        return 'Bearer realm="https://auth.example/token",service="reg"'

    def close(self) -> None:
        """Nothing is open."""


def test_a_login_by_token_service() -> None:
    def tried(status: int, body: bytes) -> str:
        return log_in("https://reg/v2/", USER, Registry((status, body)))  # type: ignore[arg-type]

    assert tried(200, b'{"token":"T"}') == ""
    assert tried(200, b'{"token":"T","refresh_token":"R"}') == "R"
    with pytest.raises(UnauthorizedError, match="incorrect username or password"):
        tried(401, b"")
    with pytest.raises(
        UnauthorizedError, match="login attempt to https://reg/v2/ failed with status: 401 Unauthorized"
    ):
        tried(200, b'{"token":"other"}')


def test_credentials_do_not_go_to_a_plaintext_realm() -> None:
    challenge = parse_challenge('Bearer realm="http://auth.example/token"')
    with pytest.raises(UnauthorizedError):
        plan_token_request(challenge, "a/b", USER, False)
    assert plan_token_request(challenge, "a/b", None, False).method == "GET"


def test_authorize() -> None:
    def answer(status: int, body: bytes):  # type: ignore[no-untyped-def]
        return lambda request: (status, body) if isinstance(request, TokenRequest) else (500, b"")

    assert authorize(BEARER, "a/b", USER, False, answer(200, b'{"access_token":"T"}')) == "Bearer T"
    assert authorize(parse_challenge("Basic realm=x"), "a/b", USER, False, answer(500, b"")) == "Basic dTpw"
    with pytest.raises(UnauthorizedError):
        authorize(BEARER, "a/b", USER, False, answer(401, b""))
    with pytest.raises(UnavailableError):
        authorize(BEARER, "a/b", USER, False, answer(200, b'{"token":"a\\r\\nb"}'))
    with pytest.raises(UnauthorizedError):
        authorize(parse_challenge("Basic realm=x"), "a/b", None, False, answer(500, b""))
