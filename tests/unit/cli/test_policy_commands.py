"""``tidegate policy``: what it says of files and requests, and its exit codes."""

import io
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidegate.access.asked import read_asked
from tidegate.access.decision import decide
from tidegate.access.files import parse_policy
from tidegate.access.policy import built_in_policy
from tidegate.access.principal import CertificatePrincipal
from tidegate.cli.main import main
from tidegate.pki.audit.files import open_audit
from tidegate.pki.audit.signer import AuditSigner
from tidegate.pki.issued import IssuedRecords, IssueRecord
from tidegate.spec.audit.chain import Head, seal
from tidegate.spec.audit.records import Decision, End, EndedBy, Kind, Outcome, Repeated


def access(root: Path, text: str, name: str = "access.toml") -> Path:
    path = root / "access" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def policy(*words: str | Path) -> int:
    return main(["policy", *map(str, words)])


def test_check_says_what_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    access(tmp_path, '[roles.web]\nlike = "ci"\ncapabilities = ["CAP_SYS_ADMIN"]\n')
    access(tmp_path, 'permit(principal in Role::"web", action == Action::"ContainerKill", resource);', "a.cedar")
    assert policy("check", "--data-root", tmp_path) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("access.toml:3: warning: 'CAP_SYS_ADMIN'")
    assert shown[1] == "a.cedar, access.toml: can be used; roles are admin, ci, developer, operator, viewer, web"


def test_check_tells_every_error_of_a_named_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = access(tmp_path, 'default_role = "x"\n[roles.web]\n')
    assert policy("check", path) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == (
        "access.toml:2: role web does not say what it is like; say like = one of ci, developer, operator, viewer"
    )
    assert "2 errors: these files cannot be used" in shown.err


def test_check_without_files_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert policy("check", "--data-root", tmp_path) == 1
    assert "only the built-in roles" in capsys.readouterr().err


def test_explain_tells_which_rule_decides_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    access(tmp_path, '[[bindings]]\nrole = "developer"\norganization = "Acme"\n')
    body = tmp_path / "body.json"
    body.write_text('{"Image":"alpine","HostConfig":{"Binds":["data:/d","/srv:/s"],"NetworkMode":"back"}}')
    words = ("explain", "--data-root", tmp_path, "--as", "alice", "--organization", "Acme")
    request = "POST /v1.41/containers/create?name=x"
    assert policy(*words, "--body", body, request) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == ["refused: ContainerCreate by CN=alice", "role: developer", "rule: developer/BindHostPath"]
    assert "demand: UseRegistry docker.io (Image): granted by registries 'docker.io'" in shown
    assert "demand: BindHostPath /srv (HostConfig.Binds): not granted (bind_sources)" in shown
    assert "demand: JoinNetwork back (HostConfig.NetworkMode): allowed if it is the client's own" in shown
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"Image":"alpine"}')))
    assert policy(*words, "--body", "-", request) == 0
    assert "what is created is labelled with its owner" in capsys.readouterr().out
    assert policy(*words, "POST /containers/web/exec") == 0
    assert "has to be the client's own: container web" in capsys.readouterr().out


def test_explain_knows_the_role_on_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    record = IssueRecord(
        serial="0A",
        issuer="i",
        name="alice",
        role="viewer",
        origin="create",
        issued_at=now,
        not_after=now + timedelta(days=1),
        fingerprint="f",
        key="k",
    )
    IssuedRecords(tmp_path / "pki").put(record)
    assert policy("explain", "--data-root", tmp_path, "--as", "alice", "GET /containers/json") == 0
    assert "role: viewer" in capsys.readouterr().out
    assert policy("explain", "--data-root", tmp_path, "--as", "bob", "GET /containers/json") == 1
    assert "CN=bob has no role" in capsys.readouterr().out
    assert policy("explain", "--data-root", tmp_path, "--as", "bob", "--role", "admin", "GET /containers/json") == 0
    assert policy("explain", "--data-root", tmp_path, "--as", "uid:0", "--default-role", "ci", "GET /info") == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("GET",), "'GET' is no request"),
        (("GET /nothing",), "page not found"),
        (("--as", "uid:x", "GET /info"), "'x' is no number"),
    ],
)
def test_explain_refuses_what_is_no_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert policy("explain", "--data-root", tmp_path, "--as", "alice", *words) == 1
    assert told in capsys.readouterr().err


def audit(root: Path, done: list[tuple[str, str, str, str, int, str]]) -> Path:
    """An audit in which an administrator's requests were carried out: principal, method, target, body, status, made."""
    signer = AuditSigner(root / "pki/audit")
    opened = open_audit(root / "audit", signer.key_id, "gate-0", None)
    head = opened.beginning.head
    line, head = seal(opened.chain, head, Kind.SEGMENT, 1, opened.beginning.segment)
    os.write(opened.fd, line)
    for principal, method, target, body, status, made in done:
        asked = read_asked(method, target, body.encode())
        verdict = decide(built_in_policy(), CertificatePrincipal("x", (), (), (), "1"), "admin", asked)
        record = Decision(principal, asked.operation_id, True, "r", object=asked.object_id, facts=dict(verdict.facts))
        line, head = seal(opened.chain, head, Kind.DECISION, 2, record)
        os.write(opened.fd, line)
        line, head = seal(opened.chain, head, Kind.OUTCOME, 3, Outcome(head.seq, status, 1.0, object=made))
        os.write(opened.fd, line)
    os.close(opened.fd)
    return next((root / "audit").iterdir())


CREATE = "/containers/create?name=web"
ID = "c" * 64


def test_learn_writes_the_least_policy_that_allows_what_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {
        "Image": "quay.io/a/b",
        "HostConfig": {
            "Binds": ["/srv/www:/w:ro", "/srv/data:/d"],
            "CapAdd": ["NET_ADMIN"],
            "PortBindings": {"80/tcp": [{"HostPort": "80"}]},
            "SecurityOpt": ["seccomp=unconfined"],
            "OomKillDisable": True,
        },
    }
    done = [
        ("CN=deploy", "POST", "/images/create?fromImage=quay.io/a/b&tag=1", "", 200, ""),
        ("CN=deploy", "POST", CREATE, json.dumps(body), 201, ID),
        ("CN=deploy", "POST", f"/containers/{ID}/start", "", 204, ""),
        ("CN=deploy", "POST", f"/containers/{ID[:12]}/stop", "", 204, ""),
        ("CN=deploy", "POST", "/containers/prune", "", 500, ""),
        ("uid=1000", "GET", "/containers/json", "", 200, ""),
        ("uid=1000", "GET", "/containers/web/json", "", 200, ""),
    ]
    path = audit(tmp_path, done)
    assert policy("learn", path) == 0
    text = capsys.readouterr().out
    learned = parse_policy({"access.toml": text})
    deploy = learned.roles["learned-deploy"]
    assert deploy.operations == {
        *("ImageCreate", "ContainerCreate", "ContainerStart", "ContainerStop", "SystemPing", "SystemPingHead")
    }
    assert 'bind_sources = [\n    "/srv/data",\n    "/srv/www:ro",\n]' in text
    assert 'scope = "own"' in text and 'scope = "see-all"' in text
    assert learned.bindings[1].uid == 1000
    who = CertificatePrincipal("deploy", (), (), (), "1")
    for _, method, target, request_body, status, _ in done[:4]:
        assert status < 400
        verdict = decide(learned, who, "learned-deploy", read_asked(method, target, request_body.encode()))
        assert verdict.allowed, verdict.reason
    body["HostConfig"]["Binds"] = ["/srv/www:/w"]  # type: ignore[index]
    asked = read_asked("POST", CREATE, json.dumps(body).encode())
    assert not decide(learned, who, "learned-deploy", asked).allowed


def test_learn_does_not_grant_the_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({"Image": "a", "HostConfig": {"Binds": ["/:/h"]}})
    assert policy("learn", audit(tmp_path, [("CN=x\n[roles.admin]", "POST", CREATE, body, 201, ID)])) == 0
    text = capsys.readouterr().out
    assert '# bind_sources: "/" cannot be granted: this path is the host; use role admin' in text
    learned = parse_policy({"access.toml": text})
    assert learned.bindings[0].common_name == "x\n[roles.admin]"


def test_learn_of_one_client_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = [("CN=a", "GET", "/info", "", 200, ""), ("CN=b", "GET", "/version", "", 200, "")]
    assert policy("learn", "--principal", "a", audit(tmp_path, done)) == 0
    text = capsys.readouterr().out
    assert "SystemInfo" in text and "SystemVersion" not in text


def test_learn_gives_no_role_for_pings_alone_and_none_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = [("CN=probe", "GET", "/_ping", "", 200, ""), ("CN=b", "HEAD", "/_ping", "", 200, "")]
    path = audit(tmp_path, [*done, ("CN=b", "GET", "/version", "", 200, "")])
    first = json.loads(path.read_bytes().splitlines()[1])
    again = Repeated(first["seq"], "CN=probe", "ContainerCreate", 7, first["time"])
    end = End(first["seq"], 5.0, EndedBy.CLIENT)
    line, head = seal(first["chain"], Head(99, first["hash"]), Kind.REPEATED, 4, again)
    path.write_bytes(path.read_bytes() + line + seal(first["chain"], head, Kind.END, 5, end)[0])
    assert policy("learn", path) == 0
    learned = parse_policy({"access.toml": capsys.readouterr().out})
    assert [binding.common_name for binding in learned.bindings] == ["b"]
    assert learned.roles["learned-b"].operations == {"SystemPing", "SystemPingHead", "SystemVersion"}
