"""Accounts at registries, as clients send them."""

import base64
import json

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.auth import AuthConfig, parse_auth_header


def header(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def test_the_header_of_a_pull() -> None:
    wanted = AuthConfig(username="u", password="pä?>", server_address="reg:5000")
    document = {"username": "u", "password": "pä?>", "serveraddress": "reg:5000"}
    assert parse_auth_header(header(document)) == wanted
    assert parse_auth_header(header(document).rstrip("=")) == wanted
    for nothing in (None, "", "e30=", "e30", header({"auth": ""})):
        assert parse_auth_header(nothing) is None


@pytest.mark.parametrize("wrong", ["?", "e", header([1]), header({"username": 1}), base64.b64encode(b"{").decode()])
def test_a_malformed_header_is_named(wrong: str) -> None:
    with pytest.raises(InvalidParameterError, match="^invalid X-Registry-Auth header: "):
        parse_auth_header(wrong)
