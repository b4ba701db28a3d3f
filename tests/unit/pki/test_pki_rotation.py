"""The CA is changed in two steps, and what was killed anywhere is completed by the next run; upkeep over time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidegate.base.errors import ConflictError, NotFoundError
from tidegate.pki import certificates as certs
from tidegate.pki.authority import ADMIN, Authority
from tidegate.pki.clients import Clients
from tidegate.pki.durable_files import write_durably
from tidegate.pki.inventory import list_entries
from tidegate.pki.rotation import Rotation
from tidegate.pki.upkeep import RECORD_GRACE, keep_up, warnings

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class World:
    def __init__(self, root: Path) -> None:
        self.now = NOW
        self.left: int | None = None
        self.authority = Authority(root, lambda: self.now, lambda: ("localhost", "10.0.0.1"), self.write)
        self.authority.ensure_all(["extra.example"])
        self.clients = Clients(self.authority)
        self.rotation = Rotation(self.authority)

    def write(self, path: Path, content: bytes, mode: int) -> None:
        if self.left is not None:
            if self.left == 0:
                raise KilledError
            self.left -= 1
        write_durably(path, content, mode)

    def load(self, path: Path) -> list[str]:
        """The common names of the certificates in a file of the PKI."""
        content = (self.authority.directory / path).read_bytes()
        return [certs.common_name(each) for each in certs.decode_certificates(content, str(path))]

    def issuer(self, path: Path) -> str:
        certificate = certs.decode_certificate((self.authority.directory / path).read_bytes(), str(path))
        return str(certificate.issuer.rfc4514_string()).removeprefix("CN=")


class KilledError(BaseException):
    """Stands for the death of the process."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


CA, NEXT, SERVER, KEPT = (Path(p) for p in ("ca.pem", "next/ca.pem", "server/cert.pem", "clients/admin/cert.pem"))


def test_two_are_trusted_until_one_is_dropped(world: World) -> None:
    (old,) = world.load(CA)
    world.clients.create("bob", "ci", None)
    world.rotation.begin()
    (new,) = world.load(NEXT)
    assert old != new
    assert world.load(Path("clients/admin/ca.pem")) == [old, new]
    assert (world.issuer(SERVER), world.issuer(KEPT)) == (old, new)
    assert world.rotation.stragglers() == {"bob": NOW + 90 * DAY}
    with pytest.raises(ConflictError, match="being changed already"):
        world.rotation.begin()
    with pytest.raises(ConflictError, match="locked out by this: bob;"):
        world.rotation.finish()
    material = world.clients.create("bob", None, None)
    assert [certs.common_name(each) for each in certs.decode_certificates(material.ca, "bob")] == [old, new]
    assert world.rotation.stragglers() == {}
    world.rotation.finish()
    assert (world.load(CA), world.issuer(SERVER), world.issuer(KEPT)) == ([new], new, new)
    assert world.load(Path("clients/admin/ca.pem")) == [new]
    assert not world.rotation.has_begun()
    assert not list((world.authority.directory / "next").iterdir())
    assert {entry.state for entry in list_entries(world.authority)} == {"valid"}
    assert certs.alternative_names(world.authority.ensure_server()) == ("localhost", "extra.example", "10.0.0.1")
    with pytest.raises(ConflictError, match="not being changed"):
        world.rotation.finish()


def test_whoever_is_late_may_be_left_behind(world: World) -> None:
    for name in "abcdefg":
        world.clients.create(name, "ci", None)
    world.rotation.begin()
    with pytest.raises(ConflictError, match="a, b, c, d, e and 2 more"):
        world.rotation.finish()
    world.rotation.finish(force=True)
    assert world.load(CA) == world.load(Path("clients/admin/ca.pem"))


def test_nothing_to_change(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="pki init"):
        Rotation(Authority(tmp_path)).begin()


@pytest.mark.parametrize("step", ["begin", "finish"])
def test_killed_after_any_write_and_completed(tmp_path: Path, step: str) -> None:
    for survived in range(20):
        world = World(tmp_path / str(survived))
        if step == "finish":
            world.rotation.begin()
        world.left = survived
        try:
            getattr(world.rotation, step)()
        except KilledError:
            killed = True
        else:
            killed = False
        world.left = None
        world.authority.ensure_client("dora")  # whatever state it is in, certificates can be made
        Rotation(world.authority).complete()
        world.authority.ensure_all()
        keep_up(world.authority)
        if world.rotation.has_begun():
            world.rotation.finish()
        states = {(entry.name, entry.state) for entry in list_entries(world.authority)}
        assert states == {("ca", "valid"), ("server", "valid"), ("admin", "valid"), ("dora", "valid")}
        key = certs.decode_key(world.authority.ca_key_path.read_bytes(), "ca")
        assert certs.belongs_to(world.authority.ca(), key)
        if not killed:
            assert survived > 2
            return
    pytest.fail("it never came to an end")


def test_a_new_key_for_the_server(world: World) -> None:
    key_path = world.authority.server_directory / "key.pem"
    names = certs.alternative_names(world.authority.ensure_server())
    old = key_path.read_bytes()
    certificate = world.authority.rotate_server(5 * DAY)
    assert key_path.read_bytes() != old
    assert certs.belongs_to(certificate, certs.decode_key(key_path.read_bytes(), "key"))
    assert certs.alternative_names(certificate) == names
    assert certificate.not_valid_after_utc == NOW + 5 * DAY
    assert world.authority.ensure_server() == certificate


def serial(world: World, path: Path) -> int:
    return certs.decode_certificate((world.authority.directory / path).read_bytes(), str(path)).serial_number


def test_kept_up_as_time_goes_by(world: World) -> None:
    world.authority.ensure_client("gone")
    world.clients.revoke("gone")
    world.clients.create("bob", "ci", None)
    world.clients.invite("eve", "ci", DAY, None)
    before = serial(world, SERVER), serial(world, KEPT), serial(world, Path("clients/gone/cert.pem"))
    world.now += 59 * DAY
    keep_up(world.authority)
    assert (serial(world, SERVER), serial(world, KEPT)) == before[:2]
    assert not list((world.authority.directory / "invites").iterdir())
    world.now += 2 * DAY
    keep_up(world.authority)
    assert serial(world, SERVER) != before[0]
    assert serial(world, KEPT) != before[1]
    assert serial(world, Path("clients/gone/cert.pem")) == before[2]  # revoked: nobody's to renew
    assert {record.name for record in world.authority.records.all()} == {"gone", "bob", ADMIN}
    world.now = NOW + 90 * DAY + RECORD_GRACE + DAY
    keep_up(world.authority)
    assert {record.name for record in world.authority.records.all()} == {ADMIN}


def test_addresses_that_came_meanwhile_do_not_count_as_due(world: World) -> None:
    other = Authority(world.authority.directory.parent, lambda: NOW, lambda: ("localhost", "172.17.0.1"))
    assert not other.is_server_due()


def test_warned_of_what_ends(world: World) -> None:
    server = world.authority.server_directory / "cert.pem"
    world.clients.create("bob", "ci", None)
    world.clients.create("eve", "ci", 200 * DAY)
    assert warnings(world.authority, server) == []
    world.now += 70 * DAY
    assert warnings(world.authority, server) == [
        f"the server's certificate {server} ends in 20d",
        "the certificate of the client admin ends in 20d and was not renewed",
        "the certificate of the client bob ends in 20d and was not renewed",
    ]
    world.clients.create("bob", None, None)
    keep_up(world.authority)
    assert warnings(world.authority, server) == []
    world.now = NOW + timedelta(days=3600)
    assert "the CA ends in 50d: begin to change it, `tidegate pki rotate-ca --begin`" in warnings(world.authority, None)
    assert warnings(Authority(world.authority.directory / "none"), None) == []
