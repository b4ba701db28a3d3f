"""The gate before an engine's API, both on real sockets; what is refused never reaches the engine."""

import asyncio
import errno
import json
import os
from pathlib import Path

import pytest
from tests.unit.gate.harness import Seen, ask, audited, exchange, through_gate

from tidegate.gate.behind.forward import Carriage, splice
from tidegate.gate.behind.ping import MOST_AGE_S, PingCache
from tidegate.gate.live import Live
from tidegate.gate.presences import Presences
from tidegate.http.messages import Response
from tidegate.pki.snapshot import Snapshot


def test_a_request_is_sent_on_in_canonical_form_with_its_body(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        body = b'{"hostconfig": {"memory": 5}, "IMAGE": "a"}'
        answer = await ask(gate, "POST /v1.41/containers/%63reate?name=x", body)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"x-engine: yes" in answer.lower()
        method, target, sent = seen[0]
        assert (method, target) == ("POST", "/v1.41/containers/create?name=x")
        owner = {"tidegate.owner": f"admin:uid:{os.getuid()}"}
        assert json.loads(sent) == {"Image": "a", "Labels": owner, "HostConfig": {"Memory": 5}}
        assert answer.endswith(sent[::-1])

    log = through_gate(tmp_path, scenario)
    assert audited(tmp_path)[0]["facts"] == {"UseRegistry": ["docker.io"]}
    assert "unix POST ContainerCreate 200 " in log
    assert "uid=" in log


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /grpc", 404),
        (b"GET /v1.41/nothing", 404),
        (b"POST /containers//create", 400),
        (b"POST /containers/../create", 400),
    ],
)
def test_what_is_no_operation_never_reaches_the_engine(tmp_path: Path, line: bytes, status: int) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await exchange(gate, line + b" HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 %d" % status)
        assert "message" in json.loads(answer.partition(b"\r\n\r\n")[2])
        assert seen == []

    through_gate(tmp_path, scenario)


def test_a_decision_and_its_outcome_are_in_the_audit(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        await exchange(gate, b"POST /v1.41/containers/web/start HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        await exchange(gate, b"GET /grpc HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")

    through_gate(tmp_path, scenario)
    decided, outcome, refused, answer = audited(tmp_path)
    assert decided["kind"] == "decision" and decided["allowed"] is True
    assert (decided["operation"], decided["object"], decided["version"]) == ("ContainerStart", "web", "1.41")
    assert decided["principal"].startswith("uid=")
    assert (outcome["kind"], outcome["of"], outcome["status"]) == ("outcome", decided["seq"], 200)
    assert (refused["operation"], refused["object"], refused["allowed"]) == ("-", "/grpc", False)
    assert answer["status"] == 404


def test_what_cannot_be_audited_never_reaches_the_engine(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await exchange(gate, b"GET /info HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"the audit cannot be written (No space left on device)" in answer
        assert seen == []

    def full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    through_gate(tmp_path, scenario, write=full)


def test_pings_are_answered_from_what_the_engine_said_a_moment_ago(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answers = [
            await exchange(gate, b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n") for _ in range(5)
        ]
        assert all(answer.endswith(b"plain") and b"x-engine: yes" in answer.lower() for answer in answers)
        assert len(seen) == 1

    assert through_gate(tmp_path, scenario).count("SystemPing 200") == 5


def test_an_old_ping_is_asked_again_and_a_failed_one_not_remembered() -> None:
    now_s = [100.0]
    answers = [Response(200, (), b"one"), Response(503), Response(200, (), b"two")]

    async def ask() -> Response:
        return answers.pop(0)

    async def main() -> None:
        pings = PingCache(lambda: now_s[0])
        got = []
        for step_s in (0.0, MOST_AGE_S / 2, MOST_AGE_S, 0.0, 0.0):
            now_s[0] += step_s
            response = await pings.answer("GET", "/_ping", ask)
            assert isinstance(response, Response)
            got.append((response.status, response.body))
        assert got == [(200, b"one"), (200, b"one"), (503, b""), (200, b"two"), (200, b"two")]

    asyncio.run(main())


def test_an_engine_that_is_away_is_a_503_that_says_so(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        answer = await exchange(gate, b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"the engine behind the gate does not answer" in answer

    through_gate(tmp_path, scenario, engine=False)


def test_a_taken_over_connection_carries_both_ways_and_half_closes(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        head = b"POST /containers/a/attach?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        answer = await exchange(gate, head + b"hi")
        first, _, rest = answer.partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 101 UPGRADED")
        assert rest == b"HIend"

    through_gate(tmp_path, scenario)


@pytest.mark.parametrize(
    ("line", "offer"),
    [
        (b"POST /containers/a/attach", b"h2c"),
        (b"POST /containers/a/attach", b"tcp, h2c"),
        (b"POST /containers/a/attach", b"tcp\r\nUpgrade: h2c"),
        (b"POST /containers/a/attach", b"tcp/1.0"),
        (b"POST /exec/a/start", b"TLS/1.2"),
        (b"GET /containers/a/attach/ws", b"tcp"),
        (b"POST /session", b"tcp"),
        (b"POST /grpc", b"websocket"),
    ],
)
def test_a_connection_is_taken_over_for_what_its_operation_is_known_to_become(
    tmp_path: Path, line: bytes, offer: bytes
) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        head = b" HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, close\r\nUpgrade: " + offer + b"\r\n\r\n"
        answer = await exchange(gate, line + head)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"is refused" in answer
        assert seen == []

    through_gate(tmp_path, scenario)
    decided, _ = audited(tmp_path)
    assert decided["allowed"] is False


def test_an_offer_where_there_is_nothing_to_become_is_ignored(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        head = b"GET /info HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\r\n"
        assert (await exchange(gate, head)).startswith(b"HTTP/1.1 200")
        assert len(seen) == 1

    through_gate(tmp_path, scenario)


def test_what_a_client_sent_before_it_left_is_passed_on() -> None:
    taken: list[bytes] = []

    class Left:
        """A client that is gone: what it sent can be read, and nothing be written."""

        def __init__(self) -> None:
            self._sent = [b"typed ", b"text", b""]

        async def read(self) -> bytes:
            return self._sent.pop(0)

        async def write(self, data: bytes) -> None:
            raise ConnectionResetError

        async def wait_closed(self) -> None:
            """It is."""

        def close(self) -> None:
            """Again."""

    class Engine(Left):
        """Has output for the client, and takes its input some turns of the loop later."""

        async def write(self, data: bytes) -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            taken.append(data)

        def write_eof(self) -> None:
            taken.append(b"")

        def close(self) -> None:
            taken.append(b"closed")

    asyncio.run(asyncio.wait_for(splice(Left(), Engine(), Carriage()), 20))  # type: ignore[arg-type]
    assert taken == [b"typed ", b"text", b"", b"closed"]


@pytest.mark.parametrize(
    ("target", "canonical"),
    [
        ("/v1.41/images/a%20b%2fc:1/json", "/v1.41/images/a%20b/c:1/json"),
        ("/containers/json?all=True&filters=%7B%22label%22%3A%5B%22a%22%5D%7D", None),
    ],
)
def test_a_target_is_encoded_once(tmp_path: Path, target: str, canonical: str | None) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        await ask(gate, f"GET {target}")
        assert seen[0][1] == (canonical or "/containers/json?all=1&filters=%7B%22label%22%3A%7B%22a%22%3Atrue%7D%7D")

    through_gate(tmp_path, scenario)


def test_a_field_of_the_wrong_type_is_a_400_that_names_it_and_reaches_nobody(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await ask(gate, "POST /containers/create", b'{"HostConfig":{"Memory":"lots"}}')
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"HostConfig.Memory" in answer
        assert seen == []

    through_gate(tmp_path, scenario)
    refused, _ = audited(tmp_path)
    assert (refused["operation"], refused["allowed"], refused["rule"]) == ("ContainerCreate", False, "unreadable")


def test_what_a_role_may_not_do_is_a_403_in_the_audit_too(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await ask(gate, "POST /containers/create", b'{"Image":"a"}')
        assert answer.startswith(b"HTTP/1.1 403")
        assert b"role viewer" in answer
        assert seen == []

    through_gate(tmp_path, scenario, role="viewer")
    refused, _ = audited(tmp_path)
    assert (refused["role"], refused["allowed"]) == ("viewer", False)
    assert refused["document"].startswith("sha256:")


def test_a_refused_request_does_not_cost_the_connection(tmp_path: Path) -> None:
    live = Live(Presences())

    async def scenario(gate: Path, seen: Seen) -> None:
        reader, writer = await asyncio.open_unix_connection(str(gate))
        for _ in range(2):
            writer.write(b"POST /v1.41/containers/web/kill HTTP/1.1\r\nHost: d\r\n\r\n")
            assert (await reader.readuntil(b"}\n")).startswith(b"HTTP/1.1 403")
            assert live.apply(live.snapshot) == 0
        writer.close()

    through_gate(tmp_path, scenario, role="viewer", live=live)


def test_a_role_that_changes_while_a_body_is_sent_decides_on_it(tmp_path: Path) -> None:
    live = Live(Presences())

    def bound_to(role: str) -> str:
        return f'[[bindings]]\nrole = "{role}"\nuid = {os.getuid()}\n'

    async def scenario(gate: Path, seen: Seen) -> None:
        reader, writer = await asyncio.open_unix_connection(str(gate))
        head = b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        writer.write(head + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n")
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        live.apply(Snapshot(generation=2, access={"access.toml": bound_to("viewer")}))
        writer.write(b'{"Image":"a"}')
        assert (await reader.readuntil(b"}\n")).startswith(b"HTTP/1.1 403")
        writer.close()
        assert seen == []

    through_gate(tmp_path, scenario, role=None, live=live, access=bound_to("developer"))
    refused, _ = audited(tmp_path)
    assert (refused["role"], refused["allowed"]) == ("viewer", False)


def test_lists_of_a_role_that_sees_its_own_are_narrowed_and_what_comes_all_the_same_is_left_out(tmp_path: Path) -> None:
    owner = f"uid:{os.getuid()}"
    rows = [{"Id": "1", "Labels": {"tidegate.owner": owner}}, {"Id": "2", "Labels": {"tidegate.owner": "CN=eve"}}]

    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await ask(gate, "GET /containers/json")
        assert [row["Id"] for row in json.loads(answer.partition(b"\r\n\r\n")[2])] == ["1"]
        assert f"tidegate.owner%3D{owner.replace(':', '%3A')}" in seen[0][1]

    through_gate(tmp_path, scenario, role="ci", answers={"/containers/json": rows})


def test_an_object_of_somebody_else_does_not_exist(tmp_path: Path) -> None:
    shown = {"Id": "c" * 64, "Config": {"Labels": {"tidegate.owner": "CN=eve"}}}

    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await ask(gate, "POST /containers/web/stop")
        assert answer.startswith(b"HTTP/1.1 404")
        assert b"No such container: web" in answer
        assert [target for _, target, _ in seen] == ["/containers/web/json"]

    through_gate(tmp_path, scenario, role="developer", answers={"/containers/web/json": shown})
    refused, _ = audited(tmp_path)
    assert (refused["rule"], refused["allowed"]) == ("not-owned", False)


def test_what_a_client_made_as_an_administrator_is_not_its_own_in_another_role(tmp_path: Path) -> None:
    shown = {"Id": "c" * 64, "Config": {"Labels": {"tidegate.owner": f"admin:uid:{os.getuid()}"}}}

    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await ask(gate, "POST /containers/web/exec", b'{"Cmd":["sh"]}')
        assert answer.startswith(b"HTTP/1.1 404")

    through_gate(tmp_path, scenario, role="developer", answers={"/containers/web/json": shown})


def test_an_own_object_is_acted_on_by_its_id(tmp_path: Path) -> None:
    shown = {"Id": "c" * 64, "Config": {"Labels": {"tidegate.owner": f"uid:{os.getuid()}"}}}

    async def scenario(gate: Path, seen: Seen) -> None:
        assert (await ask(gate, "POST /v1.41/containers/web/stop?t=3")).startswith(b"HTTP/1.1 200")
        assert seen[-1][1] == f"/v1.41/containers/{'c' * 64}/stop?t=3"

    through_gate(tmp_path, scenario, role="developer", answers={"/containers/web/json": shown})


def test_names_in_a_document_are_sent_on_as_the_ids_that_were_checked(tmp_path: Path) -> None:
    """Between check and look a client could rename its own container, whose name is the beginning of another's id."""
    shown = {"Id": "c" * 64, "Config": {"Labels": {"tidegate.owner": f"uid:{os.getuid()}"}}}
    body = json.dumps({"Image": "a", "HostConfig": {"VolumesFrom": ["3f2a:ro"], "PidMode": "container:3f2a"}}).encode()

    async def scenario(gate: Path, seen: Seen) -> None:
        await ask(gate, "POST /containers/create", body)
        sent = json.loads(seen[-1][2])["HostConfig"]
        assert sent == {"VolumesFrom": [f"{'c' * 64}:ro"], "PidMode": f"container:{'c' * 64}"}
        await ask(gate, "POST /commit?container=3f2a&repo=mine")
        assert seen[-1][1] == f"/commit?container={'c' * 64}&repo=mine"

    through_gate(tmp_path, scenario, role="developer", answers={"/containers/3f2a/json": shown})


def test_the_audit_names_what_was_made(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await ask(gate, "POST /containers/create", b'{"Image":"a"}')
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"Id": "c" * 64, "Warnings": []}

    through_gate(tmp_path, scenario, answers={"/containers/create": {"Id": "c" * 64, "Warnings": []}})
    assert audited(tmp_path)[-1]["object"] == "c" * 64


@pytest.mark.parametrize(("owner", "status"), [(f"uid:{os.getuid()}", 200), ("eve", 404), (None, 404)])
def test_a_volume_is_made_with_its_owner_before_a_bind_would_make_it_without(
    tmp_path: Path, owner: str | None, status: int
) -> None:
    """Somebody else may have made it meanwhile: then it is theirs."""
    body = json.dumps({"Image": "a", "HostConfig": {"Binds": ["data:/d"]}}).encode()
    made = {"Name": "data", "Labels": {"tidegate.owner": owner} if owner else None}

    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await ask(gate, "POST /containers/create", body)
        assert answer.startswith(b"HTTP/1.1 %d" % status)
        assert json.loads(seen[1][2]) == {"Name": "data", "Labels": {"tidegate.owner": f"uid:{os.getuid()}"}}
        assert len(seen) == (3 if status == 200 else 2)

    answers = {"/volumes/data": Response(404, (), b'{"message":"get data: no such volume"}'), "/volumes/create": made}
    through_gate(tmp_path, scenario, role="developer", answers=answers)


def test_secrets_of_others_are_left_out(tmp_path: Path) -> None:
    shown = {"Id": "c" * 64, "Config": {"Env": ["PASSWORD=x"], "Labels": {}}}

    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await ask(gate, "GET /containers/web/json")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["Config"]["Env"] == ["PASSWORD=<redacted>"]

    through_gate(tmp_path, scenario, role="viewer", answers={"/containers/web/json": shown})


@pytest.mark.parametrize("separator", ["", "\x1e"])
def test_events_of_others_are_left_out(tmp_path: Path, separator: str) -> None:
    """In lines of JSON, and in a JSON sequence (RFC 7464)."""
    owner = f"uid:{os.getuid()}"
    events = [
        {"Type": "container", "Actor": {"ID": number, "Attributes": {"tidegate.owner": of}}}
        for number, of in (("1", owner), ("2", "CN=eve"), ("3", owner))
    ]
    text = "".join(f"{separator}{json.dumps(event)}\n" for event in events)

    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await ask(gate, "GET /events?since=1")
        assert b'"1"' in answer and b'"3"' in answer and b'"2"' not in answer
        assert answer.count(b"\x1e") == 2 * len(separator)

    through_gate(tmp_path, scenario, role="ci", answers={"/events": text.encode()})


def test_who_goes_too_fast_is_told_when_to_come_back(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answers = [await ask(gate, "GET /info") for _ in range(3)]
        assert [answer.split(b" ", 2)[1] for answer in answers] == [b"200", b"200", b"429"]
        assert b"\r\nretry-after: 10\r\n" in answers[2].lower()
        assert len(seen) == 2

    limit = '[roles.slow]\nlike = "viewer"\nrate = { per_second = 0.1, burst = 2 }\n'
    through_gate(tmp_path, scenario, role="slow", access=limit)
    assert audited(tmp_path)[-2]["rule"] == "rate"


def test_what_a_document_demanded_is_in_the_audit(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        await ask(gate, "POST /containers/create", b'{"Image":"a","HostConfig":{"CapAdd":["SYS_ADMIN"]}}')

    through_gate(tmp_path, scenario, role="developer")
    assert "SYS_ADMIN" in str(audited(tmp_path)[0]["facts"]) + audited(tmp_path)[0]["reason"]


@pytest.mark.parametrize(("role", "passes"), [("admin", True), ("developer", False), ("ci", False)])
def test_buildkits_own_protocol_is_an_administrators(tmp_path: Path, role: str, passes: bool) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        head = b"POST /grpc HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        answer = await exchange(gate, head + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200" if passes else b"HTTP/1.1 403")
        assert len(seen) == (1 if passes else 0)

    through_gate(tmp_path, scenario, role=role)
