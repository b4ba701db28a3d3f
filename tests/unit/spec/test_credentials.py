"""Accounts in headers are what an engine will read, or refused without a word of what is in them."""

import base64
import json

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.credentials import AUTH, CONFIG, NO_CREDENTIALS, Credentials, read_credentials, registry_host


def encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def decoded(credentials: Credentials) -> object:
    return json.loads(base64.urlsafe_b64decode(credentials.encode()))


def pull(value: str) -> Credentials:
    return read_credentials("ImageCreate", [(AUTH, value)])


def test_the_account_of_a_pull_is_written_anew_with_the_fields_that_it_can_have() -> None:
    credentials = pull(
        encoded({"USERNAME": "u", "pa\u017f\u017fword": "p", "serveraddress": "https://Quay.io/v2/", "x": {"y": 1}})
    )
    assert decoded(credentials) == {"username": "u", "password": "p", "serveraddress": "https://Quay.io/v2/"}
    assert credentials.hosts == ("quay.io",)


def test_a_map_where_one_account_is_meant_says_nothing() -> None:
    credentials = pull(encoded({"evil.example": {"username": "u", "password": "p"}}))
    assert decoded(credentials) == {}
    assert credentials.hosts == ()


@pytest.mark.parametrize("value", ["e30=", "e30", encoded(None), encoded({"auth": ""})])
def test_an_account_may_say_nothing(value: str) -> None:
    assert decoded(pull(value)) == {}


def test_the_accounts_of_a_build_are_kept_for_the_registries_that_may_have_them() -> None:
    accounts = {
        "https://index.docker.io/v1/": {"auth": "dTpw"},
        "quay.io": {"username": "u", "serveraddress": "evil.example"},
        "evil.example:5000": {"identitytoken": "t"},
        "localhost:5000": {"username": "v", "serveraddress": "localhost:5000"},
    }
    credentials = read_credentials("ImageBuild", [("x-other", "1"), (CONFIG, encoded(accounts))])
    assert credentials.hosts == ("docker.io", "evil.example", "evil.example:5000", "localhost:5000", "quay.io")
    assert decoded(credentials) == accounts
    kept = credentials.keeping({"docker.io", "quay.io", "localhost:5000"})
    assert decoded(kept) == {name: accounts[name] for name in ("https://index.docker.io/v1/", "localhost:5000")}


def test_where_no_engine_reads_them_there_are_none() -> None:
    headers = [(AUTH, "?"), (CONFIG, "?")]
    assert read_credentials("ContainerCreate", headers) is NO_CREDENTIALS
    assert read_credentials("ImageBuild", headers[:1]) is NO_CREDENTIALS
    assert pull("") is NO_CREDENTIALS


@pytest.mark.parametrize(
    "value",
    [
        "?",
        "a",
        "a+/=",
        "e30=e30=",
        base64.urlsafe_b64encode(b"{").decode(),
        base64.urlsafe_b64encode(b"{}{}").decode(),
        base64.urlsafe_b64encode(b'{"username":"a","Username":"secret"}').decode(),
        encoded(["secret"]),
        encoded("secret"),
        encoded({"password": ["secret"]}),
        encoded({"username": 1234567}),
    ],
)
@pytest.mark.parametrize("operation_id", ["ImagePush", "ImageBuild"])
def test_what_cannot_be_decoded_is_refused_and_not_repeated(operation_id: str, value: str) -> None:
    with pytest.raises(InvalidParameterError, match="^invalid X-Registry-(Auth|Config) header: ") as refused:
        read_credentials(operation_id, [(AUTH, value), (CONFIG, value)])
    assert "secret" not in refused.value.message and "1234567" not in refused.value.message


def test_two_headers_are_one_too_many() -> None:
    with pytest.raises(InvalidParameterError, match="there twice"):
        read_credentials("ImagePush", [(AUTH, "e30="), (AUTH, encoded({"username": "u"}))])


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("http://Registry.example:5000/v2/", "registry.example:5000"),
        ("ghcr.io", "ghcr.io"),
    ],
)
def test_the_registry_of_an_address(address: str, host: str) -> None:
    assert registry_host(address) == host
