"""Clients on record: given, found, revoked, given another role; what a PKI of old times becomes."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.pki import certificates as certs
from tidegate.pki.authority import ADMIN, LIFETIME, Authority
from tidegate.pki.clients import Clients
from tidegate.pki.der import fingerprint, serial_text, split_pem
from tidegate.pki.issued import IssuedRecords

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> Authority:
    made = Authority(tmp_path, now=lambda: clock.now, own_names=lambda: ("localhost",))
    made.ensure_all()
    return made


def test_what_is_created_is_on_record_and_its_key_is_not_kept(authority: Authority) -> None:
    material = Clients(authority).create("bob", "operator", 2 * DAY)
    (record,) = authority.records.of("bob")
    certificate = certs.decode_certificate(material.certificate, "bob")
    key = certs.decode_key(material.key, "bob")
    assert certs.belongs_to(certificate, key)
    assert record.serial == serial_text(certificate.serial_number)
    assert record.fingerprint == fingerprint(split_pem(material.certificate.decode(), "bob")[0])
    assert record.key == certs.key_fingerprint(key.public_key())
    assert (record.role, record.origin, record.issued_at, record.not_after) == (
        "operator",
        "create",
        NOW,
        NOW + 2 * DAY,
    )
    assert not authority.client_directory("bob").exists()
    assert material.key not in [path.read_bytes() for path in authority.directory.rglob("*") if path.is_file()]


def test_ninety_days_unless_said_otherwise(authority: Authority) -> None:
    Clients(authority).create("bob", "ci", None)
    assert authority.records.of("bob")[0].not_after == NOW + LIFETIME == NOW + 90 * DAY


def test_one_name_has_one_role(authority: Authority, clock: Clock) -> None:
    clients = Clients(authority)
    with pytest.raises(InvalidParameterError, match="say --role"):
        clients.create("bob", None, None)
    clients.create("bob", "operator", DAY)
    clients.create("bob", None, 3 * DAY)
    with pytest.raises(ConflictError, match="tidegate client role bob viewer"):
        clients.create("bob", "viewer", DAY)
    assert [record.role for record in authority.records.of("bob")] == ["operator", "operator"]
    assert len(clients.set_role("bob", "viewer")) == 2
    assert {record.role for record in authority.records.of("bob")} == {"viewer"}
    clock.now += 4 * DAY
    clients.create("bob", "admin", DAY)  # nothing of the old ones is valid any more
    with pytest.raises(NotFoundError, match="no client called eve"):
        clients.set_role("eve", "viewer")
    with pytest.raises(InvalidParameterError, match="invalid role"):
        clients.set_role("bob", "Root!")


def test_revoked_by_name_or_serial_once_for_all(authority: Authority, clock: Clock) -> None:
    clients = Clients(authority)
    for _ in range(3):
        clients.create("bob", "operator", DAY)
    first, *others = authority.records.of("bob")
    assert clients.revoke(first.serial[:12].lower(), "laptop lost") == [first]
    clock.now += timedelta(minutes=1)
    assert {record.serial for record in clients.revoke("bob")} == {record.serial for record in others}
    assert clients.revoke("bob") == []
    stored = {record.serial: record for record in authority.records.of("bob")}
    assert (stored[first.serial].revoked_at, stored[first.serial].reason) == (NOW, "laptop lost")
    assert stored[others[0].serial].revoked_at == clock.now
    for unknown in ("eve", first.serial[:7], "ZZZZZZZZZZ"):
        with pytest.raises(NotFoundError, match="see `tidegate client ls`"):
            clients.revoke(unknown)


def test_a_revoked_client_kept_here_gets_a_new_key(authority: Authority) -> None:
    directory = authority.client_directory(ADMIN)
    old_key, old_certificate = (directory.joinpath(name).read_bytes() for name in ("key.pem", "cert.pem"))
    Clients(authority).revoke(ADMIN)
    authority.ensure_all()
    assert directory.joinpath("key.pem").read_bytes() != old_key
    assert directory.joinpath("cert.pem").read_bytes() != old_certificate
    assert sorted(record.revoked_at is None for record in authority.records.of(ADMIN)) == [False, True]


def test_a_renewal_keeps_the_role_it_has_now(authority: Authority, clock: Clock) -> None:
    authority.ensure_client("bob", role="ci")
    Clients(authority).set_role("bob", "viewer")
    clock.now += 80 * DAY
    authority.ensure_client("bob", role="ci")
    assert [record.role for record in authority.records.of("bob")] == ["viewer", "viewer"]


def test_clients_of_a_pki_without_records_become_administrators_once(authority: Authority) -> None:
    authority.ensure_client("bob")
    shutil.rmtree(authority.records.directory)
    authority.ensure_all()
    assert {record.name: record.role for record in authority.records.all()} == {"bob": ADMIN, ADMIN: ADMIN}
    (record,) = authority.records.of("bob")
    authority.records.drop(record)
    authority.ensure_all()
    assert authority.records.of("bob") == []
    certificate = authority.ensure_client("bob")
    assert authority.records.of("bob")[0].serial == serial_text(certificate.serial_number) != record.serial


def test_only_what_is_named_is_looked_at_and_what_is_broken_is_never_left_out(authority: Authority) -> None:
    records = IssuedRecords(authority.directory)
    Clients(authority).create("bob", "ci", None)
    before = {record.name: record for record in records.present()}
    Clients(authority).set_role("bob", "viewer")
    name = f"{before['bob'].serial}.json"
    assert {record.role for record in records.present(set())} == {ADMIN, "ci"}
    assert {record.role for record in records.present({name, "other", "gone.json"})} == {ADMIN, "viewer"}
    path = records.directory / name
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    for changed in ({name}, {"other.json"}, set[str]()):
        with pytest.raises(InvalidParameterError, match=r"is no record of a certificate"):
            records.present(changed)
    path.write_bytes(whole)
    assert len(records.present(set())) == 2
    path.unlink()
    assert {record.name for record in records.present({name})} == {ADMIN}


def test_records_are_read_again_only_when_they_change(authority: Authority) -> None:
    records = IssuedRecords(authority.directory)
    (first,) = records.all()
    assert records.all()[0] is first
    Clients(authority).set_role(ADMIN, "viewer")
    assert records.all()[0].role == "viewer"
    path = records.directory / f"{first.serial}.json"
    path.rename(records.directory / "AA.json")
    with pytest.raises(InvalidParameterError, match=r"AA\.json is the record of another certificate"):
        records.all()
    (records.directory / "AA.json").write_text('{"serial": "AA", "colour": "red"}')
    with pytest.raises(InvalidParameterError, match=r"AA\.json is no record of a certificate"):
        records.all()
