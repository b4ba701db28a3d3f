"""The PKI on disk: what is made, what is left alone, what a killed run leaves to the next."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.pki import certificates as certs
from tidegate.pki.authority import Authority
from tidegate.pki.durable_files import write_durably
from tidegate.pki.inventory import list_entries

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def make(root: Path, now: datetime = NOW, names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")) -> Authority:
    return Authority(root, now=lambda: now, own_names=lambda: names)


def snapshot(directory: Path) -> dict[str, bytes]:
    files = (p for p in directory.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(directory)): p.read_bytes() for p in files}


def is_private(path: Path) -> bool:
    return "key" in path.name or path.name == ".lock" or path.parent.name == "issued"


def test_layout_and_modes(tmp_path: Path) -> None:
    authority = make(tmp_path)
    previous = os.umask(0)
    try:
        authority.ensure_all(["Docker.Example", "10.1.2.3"])
    finally:
        os.umask(previous)
    assert set(snapshot(authority.directory)) == {
        "ca.pem", "ca-key.pem", "server/cert.pem", "server/key.pem", "server/names",
        "clients/admin/ca.pem", "clients/admin/cert.pem", "clients/admin/key.pem",
        f"issued/{authority.records.all()[0].serial}.json",
    }  # fmt: skip
    for path in authority.directory.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        expected = 0o700 if path.is_dir() else 0o600 if is_private(path) else 0o644
        assert mode == expected, path
    certificate = authority.ensure_server()
    expected_names = {"localhost", "docker.example", "127.0.0.1", "::1", "10.1.2.3"}
    assert set(certs.alternative_names(certificate)) == expected_names


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.ensure_all()
    before = snapshot(authority.directory)
    make(tmp_path, NOW + timedelta(days=50)).ensure_all()
    assert snapshot(authority.directory) == before


class KilledError(BaseException):
    """Stands for the death of the process."""


def test_killed_after_any_write_is_completed_by_the_next_run(tmp_path: Path) -> None:
    for survived in range(9):
        root = tmp_path / str(survived)
        left = survived

        def dying(path: Path, content: bytes, mode: int) -> None:
            nonlocal left
            if left == 0:
                path.with_name(f".{path.name}.abc.tmp").write_bytes(content[:7])
                raise KilledError
            left -= 1
            write_durably(path, content, mode)

        with pytest.raises(KilledError):
            Authority(root, lambda: NOW, lambda: ("localhost", "127.0.0.1", "::1"), dying).ensure_all(["extra.example"])
        partial = snapshot(root)
        make(root).ensure_all(["extra.example"])
        whole = snapshot(root)
        kept = {path: content for path, content in partial.items() if not path.endswith(".tmp")}
        assert kept.items() <= whole.items()
        assert not [path for path in whole if path.endswith(".tmp")]
        assert [entry.state for entry in list_entries(make(root))] == ["valid"] * 3


@pytest.mark.parametrize("lost", ["ca.pem", "server/cert.pem", "server/key.pem", "clients/admin/key.pem"])
def test_lost_file_is_made_again_and_all_is_valid(tmp_path: Path, lost: str) -> None:
    authority = make(tmp_path)
    authority.ensure_all()
    client_before = authority.client_directory("admin").joinpath("cert.pem").read_bytes()
    (authority.directory / lost).unlink()
    authority.ensure_all()
    assert [entry.state for entry in list_entries(authority)] == ["valid"] * 3
    if lost == "ca.pem":  # made from the same key under the same name: what was handed out stays good
        assert authority.client_directory("admin").joinpath("cert.pem").read_bytes() == client_before


def test_renewed_before_expiry_with_the_same_key(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.ensure_all()
    old, key = (authority.server_directory.joinpath(n).read_bytes() for n in ("cert.pem", "key.pem"))
    make(tmp_path, NOW + timedelta(days=70)).ensure_all()
    assert authority.server_directory.joinpath("cert.pem").read_bytes() != old
    assert authority.server_directory.joinpath("key.pem").read_bytes() == key


def test_new_address_of_the_host_and_remembered_names(tmp_path: Path) -> None:
    make(tmp_path).ensure_all(["extra.example"])
    certificate = make(tmp_path, names=("localhost", "10.9.9.9")).ensure_server(["more.example"])
    names = certs.alternative_names(certificate)
    assert set(names) == {"localhost", "10.9.9.9", "extra.example", "more.example"}


def test_days_force_renewal_and_are_cut_at_the_end_of_the_ca(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.ensure_all()
    first, second = authority.ensure_client("bob", 2 * DAY), authority.ensure_client("bob", 3 * DAY)
    assert second.not_valid_after_utc == NOW + timedelta(days=3)
    assert first.serial_number != second.serial_number
    late = make(tmp_path, NOW + timedelta(days=3000)).ensure_client("bob", 3650 * DAY)
    assert late.not_valid_after_utc == authority.ca().not_valid_after_utc


def test_without_a_ca(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="pki init"):
        make(tmp_path).ensure_client("bob")
    assert not list(tmp_path.iterdir())


def test_ca_key_taken_away_hurts_only_signing(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.ensure_all()
    authority.ca_key_path.unlink()
    authority.ensure_all()
    with pytest.raises(ConflictError, match=r"cannot sign: .*ca-key\.pem is not there"):
        authority.ensure_client("bob")


def test_lost_ca_is_not_silently_replaced(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.ensure_all()
    authority.ca_key_path.unlink()
    authority.ca_path.unlink()
    with pytest.raises(ConflictError, match="are gone"):
        authority.ensure_all()


def test_key_of_another_ca(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.ensure_all()
    authority.ca_key_path.write_bytes(certs.encode_key(certs.new_key()))
    with pytest.raises(ConflictError, match="is not the key of"):
        authority.ensure_client("bob")


def test_expired_ca(tmp_path: Path) -> None:
    make(tmp_path).ensure_all()
    with pytest.raises(ConflictError, match="expired"):
        make(tmp_path, NOW + timedelta(days=3651)).ensure_all()


def test_broken_files_are_named_and_kept(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.ensure_all()
    for path in (authority.server_directory / "key.pem", authority.ca_path):
        path.write_bytes(b"junk")
        with pytest.raises(InvalidParameterError, match=str(path)):
            authority.ensure_all()
        assert path.read_bytes() == b"junk"
    assert list_entries(authority)[0].state == "unreadable"


def test_readable_key_is_tightened(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.ensure_all()
    key = authority.server_directory / "key.pem"
    key.chmod(0o644)
    authority.ensure_all()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", "a b", "a\n", "é", "x" * 65])
def test_bad_client_names(tmp_path: Path, name: str) -> None:
    authority = make(tmp_path)
    authority.ensure_ca()
    before = snapshot(tmp_path)
    with pytest.raises(InvalidParameterError, match="invalid client name"):
        authority.ensure_client(name)
    assert snapshot(tmp_path) == before


def test_inventory_tells_what_is_wrong(tmp_path: Path) -> None:
    assert list_entries(make(tmp_path)) == []
    authority = make(tmp_path)
    authority.ensure_all()
    authority.ensure_client("bob", DAY)
    (authority.directory / "clients" / "carol").mkdir()
    (authority.client_directory("admin") / "key.pem").write_bytes(certs.encode_key(certs.new_key()))
    entries = list_entries(make(tmp_path, NOW + timedelta(days=2)))
    states = {entry.name: entry.state for entry in entries}
    assert states == {"ca": "valid", "server": "valid", "admin": "mismatched", "bob": "expired", "carol": "incomplete"}
