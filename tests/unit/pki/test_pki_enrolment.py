"""What is granted over the network, to whom, once; and what a gate that was taken over cannot get."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tidegate.base.errors import (
    ConflictError,
    ForbiddenError,
    InvalidParameterError,
    NotFoundError,
    TidegateError,
    UnauthorizedError,
)
from tidegate.pki import certificates as certs
from tidegate.pki.authority import Authority
from tidegate.pki.clients import Clients
from tidegate.pki.issued import IssueRecord
from tidegate.pki.joining.enrolment import Enrolment, renewal_proof, retirement_proof
from tidegate.pki.joining.tokens import JoinToken, enrolment_proof
from tidegate.pki.registrar_messages import Enrol, Issued, Renew, Retire

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


class World:
    def __init__(self, root: Path) -> None:
        self.now = NOW
        self.authority = Authority(root, now=lambda: self.now, own_names=lambda: ("localhost",))
        self.authority.ensure_all()
        self.clients = Clients(self.authority)
        self.enrolment = Enrolment(self.authority)

    def invite(self, name: str = "bob", ttl: timedelta = 10 * MINUTE) -> JoinToken:
        return self.clients.invite(name, "operator", ttl, 7 * DAY)

    def record_of(self, issued: Issued) -> IssueRecord:
        certificate = certs.decode_certificate(issued.certificate_pem.encode(), "issued")
        return next(r for r in self.authority.records.all() if int(r.serial, 16) == certificate.serial_number)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def request(token: JoinToken, key: certs.PrivateKey | None = None) -> Enrol:
    csr = certs.make_request(key or certs.new_key(), "whoever").decode()
    return Enrol(token.invitation, csr, enrolment_proof(token.key, csr))


def renewal(issued: Issued, key: certs.PrivateKey, new_key: certs.PrivateKey | None = None) -> Renew:
    csr = certs.make_request(new_key or certs.new_key(), "whoever").decode()
    pem = issued.certificate_pem
    return Renew(pem, csr, renewal_proof(key, pem, csr))


def test_an_invitation_becomes_a_certificate_for_the_key_that_was_sent(world: World) -> None:
    key = certs.new_key()
    issued = world.enrolment.enrol(request(world.invite(), key))
    certificate = certs.decode_certificate(issued.certificate_pem.encode(), "issued")
    assert certs.belongs_to(certificate, key)
    assert certs.common_name(certificate) == "bob"
    assert certs.is_issued_by(certificate, world.authority.ca())
    assert issued.ca_pem == world.authority.ca_path.read_text()
    record = world.record_of(issued)
    assert (record.role, record.origin, record.not_after) == ("operator", "invite", NOW + 7 * DAY)


def test_it_is_good_once(world: World) -> None:
    token = world.invite()
    world.enrolment.enrol(request(token))
    assert world.clients.invitations() == []
    with pytest.raises(UnauthorizedError, match="not open"):
        world.enrolment.enrol(request(token))
    assert len(world.authority.records.of("bob")) == 1


def test_it_is_good_for_a_time(world: World) -> None:
    token = world.invite(ttl=MINUTE)
    world.now += MINUTE
    with pytest.raises(UnauthorizedError, match="was good until 2030-01-01 00:01Z"):
        world.enrolment.enrol(request(token))
    world.invite("eve")
    assert [path.stem for path in world.authority.directory.joinpath("invites").iterdir()] != [token.invitation]


def test_it_is_withdrawn_with_the_name_and_follows_its_role(world: World) -> None:
    withdrawn = world.invite("eve")
    assert world.clients.revoke("eve") == []
    with pytest.raises(UnauthorizedError, match="not open"):
        world.enrolment.enrol(request(withdrawn))
    changed = world.invite("bob")
    assert world.clients.set_role("bob", "viewer") == []
    assert world.record_of(world.enrolment.enrol(request(changed))).role == "viewer"
    with pytest.raises(ConflictError, match="has the role viewer"):
        world.invite("bob")


def test_what_cannot_be_granted_leaves_it_open(world: World) -> None:
    token = world.invite()
    admin = certs.decode_key(world.authority.client_directory("admin").joinpath("key.pem").read_bytes(), "admin")
    rsa_key = rsa.generate_private_key(65537, 2048)
    rsa_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    rsa_csr = x509.CertificateSigningRequestBuilder(rsa_name).sign(rsa_key, hashes.SHA256())
    rsa_pem = rsa_csr.public_bytes(serialization.Encoding.PEM).decode()
    good = request(token)
    swapped = Enrol(token.invitation, request(token).csr_pem, good.proof)
    cases: list[tuple[Enrol, type[TidegateError], str]] = [
        (swapped, UnauthorizedError, "does not fit"),
        (Enrol(token.invitation, "junk", enrolment_proof(token.key, "junk")), InvalidParameterError, "csr is not"),
        (Enrol(token.invitation, rsa_pem, enrolment_proof(token.key, rsa_pem)), InvalidParameterError, "ECDSA"),
        (request(token, admin), ConflictError, "has a certificate already"),
    ]
    for asked, kind, complaint in cases:
        with pytest.raises(kind, match=complaint):
            world.enrolment.enrol(asked)
    key_path = world.authority.ca_key_path
    key_path.rename(key_path.with_suffix(".away"))
    with pytest.raises(ConflictError, match="cannot sign"):
        world.enrolment.enrol(good)
    key_path.with_suffix(".away").rename(key_path)
    world.enrolment.enrol(good)
    assert len(world.authority.records.of("bob")) == 1


def test_a_request_that_another_key_signed_is_refused(world: World) -> None:
    token, key = world.invite(), certs.new_key()
    der = bytearray(x509.load_pem_x509_csr(certs.make_request(key, "x")).public_bytes(serialization.Encoding.DER))
    at = bytes(der).index(b"\x0c\x01x")
    der[at + 2] = ord("y")
    csr = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(InvalidParameterError, match="not signed by the key"):
        world.enrolment.enrol(Enrol(token.invitation, csr, enrolment_proof(token.key, csr)))


def test_renewed_with_a_new_key_in_the_role_of_now_and_the_old_one_stays(world: World) -> None:
    key = certs.new_key()
    first = world.enrolment.enrol(request(world.invite(), key))
    world.clients.set_role("bob", "viewer")
    world.now += 4 * DAY
    second = world.record_of(world.enrolment.renew(renewal(first, key)))
    assert (second.name, second.role, second.origin, second.not_after) == ("bob", "viewer", "renew", NOW + 11 * DAY)
    assert world.record_of(first).is_live(world.now)


def test_the_old_one_is_taken_back_with_the_new_one(world: World) -> None:
    old_key, key = certs.new_key(), certs.new_key()
    first = world.enrolment.enrol(request(world.invite(), old_key))
    world.now += MINUTE
    second = world.enrolment.renew(renewal(first, old_key, key))
    old, new = world.record_of(first), world.record_of(second)

    def retire(issued: Issued, signer: certs.PrivateKey, serial: str) -> None:
        pem = issued.certificate_pem
        world.enrolment.retire(Retire(pem, serial, retirement_proof(signer, pem, serial)))

    with pytest.raises(UnauthorizedError, match="not signed with the key"):
        retire(second, old_key, old.serial)
    admin = world.authority.records.of("admin")[0]
    for issued, signer, serial in (
        (first, old_key, new.serial),
        (second, key, new.serial),
        (second, key, admin.serial),
    ):
        with pytest.raises(NotFoundError, match="no older certificate"):
            retire(issued, signer, serial)
    for _ in range(2):
        retire(second, key, old.serial)
    assert (world.record_of(first).revoked_at, world.record_of(first).reason) == (
        world.now,
        f"replaced by {new.serial}",
    )
    assert world.record_of(second).is_live(world.now)
    with pytest.raises(UnauthorizedError, match="was revoked"):
        world.enrolment.renew(renewal(first, old_key))


def test_nobody_renews_without_the_present_key(world: World) -> None:
    key = certs.new_key()
    first = world.enrolment.enrol(request(world.invite(), key))
    good = renewal(first, key)
    other_csr = certs.make_request(certs.new_key(), "x").decode()
    for forged in (
        renewal(first, certs.new_key()),
        Renew(good.certificate_pem, other_csr, good.proof),
        Renew(good.certificate_pem, good.csr_pem, "no base64"),
    ):
        with pytest.raises(UnauthorizedError, match="not signed with the key"):
            world.enrolment.renew(forged)
    world.enrolment.renew(good)
    with pytest.raises(ConflictError, match="has a certificate already"):
        world.enrolment.renew(good)


def test_expired_unknown_and_foreign_ones_are_not_renewed(world: World, tmp_path: Path) -> None:
    key = certs.new_key()
    first = world.enrolment.enrol(request(world.invite(), key))
    stranger = World(tmp_path / "other")
    foreign = stranger.enrolment.enrol(request(stranger.invite(), key))
    with pytest.raises(ForbiddenError, match="given by this CA"):
        world.enrolment.renew(renewal(foreign, key))
    world.now += 8 * DAY
    with pytest.raises(UnauthorizedError, match="has expired"):
        world.enrolment.renew(renewal(first, key))
