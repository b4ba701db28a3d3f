"""``tidegate client renew`` over real TLS: the new pair in place of the old one, when it is due, and not by halves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.registrar.front_door import FrontDoor, front_door
from tests.unit.registrar.test_joining import ask

from tidegate.base.errors import TidegateError
from tidegate.cli.client.places import DirectoryPlace
from tidegate.cli.client.renew import Renewal, keep
from tidegate.cli.main import main
from tidegate.pki.authority import Authority
from tidegate.pki.clients import Clients

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    root = tmp_path_factory.mktemp("root")
    Authority(root, own_names=lambda: ("localhost",)).ensure_all()
    with front_door(root) as made:
        yield made


@pytest.fixture
def joined(door: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A directory with the certificate of a client that is named after the test."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    clients = Clients(Authority(door.data_root))
    name = request.function.__name__[:60]
    token = clients.invite(name, "operator", 10 * timedelta(minutes=1), 10 * DAY)
    assert main(["client", "join", str(door), str(token)]) == 0
    return tmp_path / "docker"


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.suffix == ".pem"}


def test_a_new_key_in_place_of_the_old_one(door: FrontDoor, joined: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(joined)
    assert main(["client", "renew"]) == 0
    after = files(joined)
    assert before["key.pem"] != after["key.pem"]
    assert (joined / "key.pem").stat().st_mode & 0o777 == 0o600
    assert ask(door, joined).endswith("operator False")
    records = [record for record in Authority(door.data_root).records.all() if record.origin == "renew"]
    assert records[-1].revoked_at is None
    old = joined / "old"
    old.mkdir()
    for name, content in before.items():
        (old / name).write_bytes(content)
    assert ask(door, old).endswith("operator False")  # good until it ends


def test_the_old_one_is_revoked_when_asked(door: FrontDoor, joined: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["client", "renew", "--revoke-old"]) == 0
    assert "revoked " in capsys.readouterr().out
    name = "test_the_old_one_is_revoked_when_asked"
    old, new = Authority(door.data_root).records.of(name)
    assert (old.revoked_at is not None, old.reason, new.revoked_at) == (True, f"replaced by {new.serial}", None)
    door.wait_for(lambda snapshot: snapshot.clients[old.serial].revoked_at_s is not None)


def test_not_before_it_is_due(door: FrontDoor, joined: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(joined)
    assert main(["client", "renew", "--if-due"]) == 0
    assert "not due before" in capsys.readouterr().out
    assert files(joined) == before
    later = Renewal(DirectoryPlace(joined, True), None, False, lambda: datetime.now(UTC) + 6 * DAY)
    later.renew(only_if_due=True)
    assert files(joined) != before


def test_kept_up_and_tried_again(door: FrontDoor, joined: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clock that only sleeping moves; the gate is away at first."""
    shift, slept = timedelta(), []
    place = DirectoryPlace(joined, True)
    host = joined / "tidegate-host"
    right = host.read_text()
    host.write_text("tcp://localhost:1\n")

    class EnoughError(Exception):
        pass

    def sleep(seconds: float) -> None:
        nonlocal shift
        slept.append(seconds)
        shift += timedelta(seconds=seconds)
        if len(slept) == 3:
            host.write_text(right)
        if len(slept) == 5:
            raise EnoughError

    before = files(joined)
    with pytest.raises(EnoughError):
        keep(Renewal(place, None, False, lambda: datetime.now(UTC) + shift), sleep)
    assert "again in 1h" in capsys.readouterr().err
    assert 4.9 * 86400 < slept[0] < 5 * 86400
    assert slept[1] == 3600.0
    assert files(joined) != before


def test_an_expired_one_ends_the_keeping(door: FrontDoor, joined: Path) -> None:
    (joined / "tidegate-host").write_text("tcp://localhost:1\n")
    renewal = Renewal(DirectoryPlace(joined, True), None, False, lambda: datetime.now(UTC) + 11 * DAY)
    with pytest.raises(TidegateError, match="cannot be asked"):
        keep(renewal, lambda _: None)


def test_a_revoked_one_is_told_so_and_keeps_its_files(
    door: FrontDoor, joined: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(joined)
    Clients(Authority(door.data_root)).revoke("test_a_revoked_one_is_told_so_and_keeps_its_files")
    assert main(["client", "renew"]) == 1
    assert "was revoked and cannot be renewed: ask for an invitation" in capsys.readouterr().err
    assert files(joined) == before


@pytest.mark.parametrize(("lost", "complaint"), [("key.pem", "no certificate"), ("cert.pem", "join anew")])
def test_what_is_missing_is_named(
    door: FrontDoor, joined: Path, lost: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (joined / lost).unlink()
    assert main(["client", "renew"]) == 1
    assert complaint in capsys.readouterr().err


def test_a_pair_that_does_not_fit_is_named(door: FrontDoor, joined: Path, capsys: pytest.CaptureFixture[str]) -> None:
    admin = Authority(door.data_root).client_directory("admin")
    (joined / "key.pem").write_bytes((admin / "key.pem").read_bytes())
    assert main(["client", "renew"]) == 1
    assert "is not the key of cert.pem" in capsys.readouterr().err


def test_a_context_is_renewed_in_place(
    door: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    token = Clients(Authority(door.data_root)).invite("ctx", "viewer", timedelta(minutes=1), None)
    assert main(["client", "join", str(door), str(token), "--context", "far"]) == 0
    (directory,) = tmp_path.glob("contexts/tls/*/docker")
    before = files(directory)
    assert main(["client", "renew", "--context", "far"]) == 0
    assert files(directory).keys() == {path.name for path in directory.iterdir()} == before.keys()
    assert files(directory)["key.pem"] != before["key.pem"]
    assert ask(door, directory) == "ctx viewer False"
    assert main(["client", "renew", "--context", "other"]) == 1
