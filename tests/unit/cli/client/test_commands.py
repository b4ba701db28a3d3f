"""``tidegate client`` as typed: what is written, what is printed, what is refused."""

import json
import tarfile
from pathlib import Path

import pytest

from tidegate.cli.main import main


def client(root: Path, *words: str) -> int:
    return main(["client", *words, "--data-root", str(root)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    assert main(["pki", "init", "--data-root", str(made)]) == 0
    return made


def documents(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_created_for_a_machine_without_tidegate(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "bob.tar"
    assert client(root, "create", "bob", "--role", "operator", "--ttl", "30m", "--context", str(archive)) == 0
    assert "client bob, role operator, valid until" in capsys.readouterr().out
    with tarfile.open(archive) as tar:
        assert "tls/docker/key.pem" in tar.getnames()
    out = tmp_path / "out"
    assert client(root, "create", "bob", "--out", str(out)) == 0
    assert sorted(path.name for path in out.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    capsys.readouterr()
    assert client(root, "ls", "--json") == 0
    found = documents(capsys)
    assert [(each["name"], each["role"], each["origin"]) for each in found] == [
        ("admin", "admin", "init"), ("bob", "operator", "create"), ("bob", "operator", "create"),
    ]  # fmt: skip


def test_nothing_is_issued_when_it_could_not_be_written(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "key.pem").write_text("another")
    assert client(root, "create", "bob", "--role", "ci", "--out", str(out)) == 1
    assert client(root, "create", "bob", "--role", "ci", "--context", str(tmp_path / "no/bob.tar")) == 1
    assert (out / "key.pem").read_text() == "another"
    assert len(list((root / "pki/issued").iterdir())) == 1


def test_listed_shown_given_another_role_and_revoked(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client(root, "create", "bob", "--role", "ci", "--days", "3", "--out", str(tmp_path / "out")) == 0
    assert client(root, "role", "bob", "viewer") == 0
    capsys.readouterr()
    assert client(root, "ls") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("bob"))
    name, role, state, *_ = row.split()
    assert (name, role, state) == ("bob", "viewer", "valid")
    assert "2d23h" in row
    serial = row.split()[-1]
    assert client(root, "revoke", serial, "--reason", "laptop lost") == 0
    assert capsys.readouterr().out == f"revoked {serial} of bob\n"
    assert client(root, "show", "bob") == 0
    shown = capsys.readouterr().out
    assert "state:       revoked" in shown
    assert shown.rstrip().endswith("Z laptop lost")
    assert client(root, "ls") == 0
    assert "bob" not in capsys.readouterr().out
    assert client(root, "ls", "--all") == 0
    assert "bob" in capsys.readouterr().out
    assert client(root, "revoke", "bob") == 0
    assert "nothing to revoke" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["create", "bob", "--out", "x"], ["invite", "bob"]])
def test_only_roles_that_exist_are_given(
    root: Path, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert client(root, *words, "--role", "deploy") == 1
    assert "there is no role 'deploy'; roles are admin, ci, developer, operator, viewer" in capsys.readouterr().err
    (root / "access").mkdir(exist_ok=True)
    (root / "access/access.toml").write_text('[roles.deploy]\nlike = "ci"\n')
    assert client(root, *words, "--role", "deploy") == 0
    assert client(root, "role", "bob", "nobody") == 1
    assert client(root, "role", "bob", "viewer") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["create", "bob", "--role", "ci"], ["create", "../x", "--role", "ci", "--out", "x"],
        ["create", "bob", "--role", "Root", "--out", "x"], ["create", "bob", "--out", "x", "--context", "y"],
        ["create", "bob", "--out", "x", "--host", "h"], ["create", "bob", "--out", "x", "--ttl", "30s"],
        ["create", "bob", "--out", "x", "--ttl", "1m", "--days", "3"], ["role", "bob"], ["revoke"],
    ],
)  # fmt: skip
def test_usage_errors(root: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        client(root, *words)
    assert raised.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert len(list((root / "pki/issued").iterdir())) == 1
