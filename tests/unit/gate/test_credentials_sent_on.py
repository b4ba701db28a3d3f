"""Accounts at registries pass the gate in canonical form, to registries that the client may use, and into no audit."""

import base64
import json
from pathlib import Path

import pytest
from tests.unit.gate.harness import Seen, audited, exchange, through_gate

from tidegate.http.messages import Request, Response

HUB = "https://index.docker.io/v1/"
PULL = "POST /images/create?fromImage=alpine&tag=3"
BUILD = "POST /build?t=a"


def encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def sent_on(tmp_path: Path, line: str, *headers: str, role: str = "developer") -> tuple[bytes, dict[str, str]]:
    """The client's answer, and the headers that reached the engine."""
    reached: dict[str, str] = {}
    answers: list[bytes] = []

    def engine(request: Request) -> Response:
        reached.update(request.headers)
        return Response(200, (), b"ok")

    async def scenario(gate: Path, _seen: Seen) -> None:
        head = "\r\n".join([f"{line} HTTP/1.1", "Host: d", "Connection: close", *headers])
        answers.append(await exchange(gate, head.encode() + b"\r\n\r\n"))

    paths = ("/images/create", "/build", "/containers/create", "/containers/json")
    through_gate(tmp_path, scenario, role=role, answers=dict.fromkeys(paths, engine))
    assert "s3cret" not in json.dumps(audited(tmp_path))
    assert encoded({"password": "s3cret"})[:12] not in json.dumps(audited(tmp_path))
    return answers[0], reached


def decoded(value: str) -> object:
    return json.loads(base64.urlsafe_b64decode(value))


def test_an_account_is_sent_on_as_it_was_read(tmp_path: Path) -> None:
    account = {"Password": "s3cret", "username": "u", "serveraddress": HUB, "unknown": "x"}
    answer, reached = sent_on(tmp_path, PULL, f"X-Registry-Auth: {encoded(account)}")
    assert answer.startswith(b"HTTP/1.1 200")
    wanted = {"username": "u", "password": "s3cret", "serveraddress": HUB}
    assert decoded(reached["x-registry-auth"]) == wanted
    assert audited(tmp_path)[0]["facts"] == {"UseRegistry": ["docker.io"]}


def test_an_account_of_a_registry_that_the_client_may_not_use_is_refused(tmp_path: Path) -> None:
    account = {"password": "s3cret", "serveraddress": "https://evil.example/v2/"}
    answer, reached = sent_on(tmp_path, PULL, f"X-Registry-Auth: {encoded(account)}")
    assert answer.startswith(b"HTTP/1.1 403") and b"evil.example" in answer
    assert reached == {}


def test_an_administrator_may_use_any(tmp_path: Path) -> None:
    account = {"password": "s3cret", "serveraddress": "evil.example"}
    answer, reached = sent_on(tmp_path, PULL, f"X-Registry-Auth: {encoded(account)}", role="admin")
    assert answer.startswith(b"HTTP/1.1 200")
    assert decoded(reached["x-registry-auth"]) == account


@pytest.mark.parametrize(
    "headers",
    [
        ("X-Registry-Auth: czNjcmV0",),
        ("X-Registry-Auth: %%",),
        ("X-Registry-Auth: e30=", "X-Registry-Auth: e30="),
        (f"X-Registry-Auth: {encoded([{'password': 's3cret'}])}",),
    ],
)
@pytest.mark.parametrize("role", ["developer", "admin"])
def test_what_cannot_be_read_is_a_400_and_reaches_nobody(tmp_path: Path, headers: tuple[str, ...], role: str) -> None:
    answer, reached = sent_on(tmp_path, PULL, *headers, role=role)
    assert answer.startswith(b"HTTP/1.1 400") and b"invalid X-Registry-Auth header" in answer
    assert reached == {}


def test_a_build_gets_the_accounts_of_registries_that_the_client_may_use(tmp_path: Path) -> None:
    accounts = {HUB: {"password": "s3cret"}, "evil.example": {"password": "s3cret"}}
    answer, reached = sent_on(tmp_path, BUILD, f"X-Registry-Config: {encoded(accounts)}")
    assert answer.startswith(b"HTTP/1.1 200")
    assert decoded(reached["x-registry-config"]) == {HUB: {"password": "s3cret"}}


def test_an_administrators_build_gets_all(tmp_path: Path) -> None:
    accounts = {HUB: {"password": "s3cret"}, "evil.example": {"password": "s3cret"}}
    _, reached = sent_on(tmp_path, BUILD, f"X-Registry-Config: {encoded(accounts)}", role="admin")
    assert decoded(reached["x-registry-config"]) == accounts


def test_an_account_goes_nowhere_else(tmp_path: Path) -> None:
    headers = (f"X-Registry-Auth: {encoded({'password': 's3cret'})}", "X-Registry-Config: ?", "X-Meta-Kept: 1")
    _, reached = sent_on(tmp_path, "GET /containers/json", *headers)
    assert reached["x-meta-kept"] == "1"
    assert not {"x-registry-auth", "x-registry-config"} & set(reached)
