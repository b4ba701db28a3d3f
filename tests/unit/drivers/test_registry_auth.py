"""Challenges and token requests of registries."""

import pytest

from tidegate.base.errors import UnauthorizedError, UnavailableError
from tidegate.drivers.registry_auth import TokenRequest, authorize, parse_challenge, plan_token_request
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
