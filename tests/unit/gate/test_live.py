"""Who a client is at this moment: by its certificate's record, its revocation, its role, and the door it came by."""

import asyncio
import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidegate.access.asked import Asked
from tidegate.gate.doors import Door
from tidegate.gate.live import Live
from tidegate.gate.presences import Presences
from tidegate.gate.standings import Standings
from tidegate.http.messages import Peer
from tidegate.pki.authority import Authority
from tidegate.pki.der import CertificateFacts, certificate_facts
from tidegate.pki.registrar_messages import CertificateStatus
from tidegate.pki.snapshot import ClientRecord, Snapshot

TLS = Door("tls", secured=True)
NOW_S = datetime.now(UTC).timestamp()


class Holder:
    """A client certificate, and the snapshots in which it stands."""

    def __init__(self, root: Path, name: str = "alice") -> None:
        authority = Authority(root, own_names=lambda: ("localhost",))
        authority.ensure_all()
        authority.ensure_client(name, role="developer")
        pem = (authority.client_directory(name) / "cert.pem").read_text()
        self.peer = Peer("1.2.3.4:5", ssl.PEM_cert_to_DER_cert(pem), subject={"subject": ((("commonName", name),),)})
        self.facts: CertificateFacts = certificate_facts(self.peer.certificate or b"")

    def snapshot(
        self, role: str = "developer", taken_back: bool = False, known: bool = True, **more: object
    ) -> Snapshot:
        record = ClientRecord(
            "alice", role, self.facts.fingerprint, self.facts.not_after_s, int(NOW_S) if taken_back else None, "left us"
        )
        clients = {self.facts.serial: record} if known else {}
        return Snapshot(generation=1, clients=clients, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def holder(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    return Holder(tmp_path_factory.mktemp("pki"))


def live(snapshot: Snapshot, default_role: str = "", now_s: float = NOW_S) -> Live:
    made = Live(Presences(), default_role, lambda: now_s)
    made.adopt(snapshot)
    return made


def test_a_recorded_certificate_has_the_role_of_its_record(holder: Holder) -> None:
    identity = live(holder.snapshot("viewer"), "admin").identify(TLS, holder.peer)
    assert (identity.role, identity.owner, identity.refusal) == ("viewer", "alice", "")


@pytest.mark.parametrize(
    ("snapshot", "later", "why"),
    [
        ({"taken_back": True}, timedelta(), "was revoked \\(left us\\)"),
        ({}, timedelta(days=400), "has expired"),
        ({"known": False}, timedelta(), "is of a CA that is not trusted here"),
    ],
)
def test_a_certificate_that_no_longer_counts_is_refused(
    holder: Holder, snapshot: dict[str, bool], later: timedelta, why: str
) -> None:
    identity = live(holder.snapshot(**snapshot), "admin", NOW_S + later.total_seconds()).identify(TLS, holder.peer)
    assert identity.role == ""
    assert re.search(why, identity.refusal)


def test_our_own_certificate_that_is_not_on_record_is_refused(holder: Holder) -> None:
    snapshot = holder.snapshot(known=False, own_issuers=frozenset({holder.facts.issuer}))
    assert "not on record" in live(snapshot, "admin").identify(TLS, holder.peer).refusal


def test_a_foreign_certificate_has_the_default_role_until_its_ca_revokes_it(holder: Holder) -> None:
    trusted = frozenset({holder.facts.issuer})
    assert live(holder.snapshot(known=False, trusted_issuers=trusted), "ci").identify(TLS, holder.peer).role == "ci"
    revoked = holder.snapshot(known=False, trusted_issuers=trusted, revoked=frozenset({holder.facts.key}))
    assert "revoked by its CA" in live(revoked, "ci").identify(TLS, holder.peer).refusal
    stale = holder.snapshot(known=False, trusted_issuers=trusted, crl_until_s={holder.facts.issuer: int(NOW_S) - 1})
    assert "out of date" in live(stale, "ci").identify(TLS, holder.peer).refusal


def test_a_foreign_certificate_owns_under_a_name_that_nothing_else_has(holder: Holder) -> None:
    def owner(name: str) -> str:
        der = holder.peer.certificate
        subject = {"subject": ((("commonName", name),),), "serialNumber": "0A"} if name else {"serialNumber": "0A"}
        known = live(holder.snapshot(known=False, trusted_issuers=frozenset({holder.facts.issuer})), "ci")
        return known.identify(TLS, Peer("1.2.3.4:5", der, subject=subject)).owner

    assert owner("bob") == "bob"
    assert owner("") == "serial:0A"
    assert owner("admin:bob") == "cn:admin:bob"
    assert owner("uid:0") == "cn:uid:0"


def test_a_foreign_certificate_is_asked_about_where_that_is_configured(holder: Holder) -> None:
    """Our own is on record, which says more than any responder."""
    asked: list[str] = []
    status = "good"

    async def ask(certificate_pem: str) -> CertificateStatus:
        asked.append(certificate_pem)
        return CertificateStatus(status, int(NOW_S) + 100)

    def refusal(snapshot: Snapshot) -> str:
        made = Live(Presences(), "viewer", lambda: NOW_S, Standings(ask, lambda: NOW_S))
        made.adopt(snapshot)
        unasked = made.identify(TLS, holder.peer).refusal
        assert bool(unasked) == (snapshot.ocsp and not snapshot.clients)
        asyncio.run(made.learn(holder.peer))
        return made.identify(TLS, holder.peer).refusal

    issuers = frozenset({holder.facts.issuer})
    foreign = holder.snapshot(known=False, trusted_issuers=issuers, ocsp=True)
    assert refusal(holder.snapshot(known=False, trusted_issuers=issuers)) == ""
    assert refusal(holder.snapshot(own_issuers=issuers, trusted_issuers=issuers, ocsp=True)) == ""
    assert asked == []
    assert refusal(foreign) == ""
    assert len(asked) == 1
    status = "revoked"
    assert refusal(foreign).endswith("is revoked to its CA's OCSP responder")
    assert "nobody asks" in live(foreign, "viewer").identify(TLS, holder.peer).refusal


def test_the_same_serial_number_of_another_ca_is_not_the_record(holder: Holder) -> None:
    record = ClientRecord("root", "admin", "0" * 64, holder.facts.not_after_s)
    snapshot = Snapshot(
        generation=1, clients={holder.facts.serial: record}, trusted_issuers=frozenset({holder.facts.issuer})
    )
    assert live(snapshot).identify(TLS, holder.peer).role == ""


def test_answers_say_when_the_certificate_ends(holder: Holder) -> None:
    (header,) = live(holder.snapshot()).expiry_headers(holder.peer)
    assert header[0] == "Tidegate-Certificate-Expires"
    late = live(holder.snapshot(), now_s=holder.facts.not_after_s - 86400)
    assert [name for name, _ in late.expiry_headers(holder.peer)] == ["Tidegate-Certificate-Expires", "Warning"]
    assert late.expiry_headers(Peer(credentials=(1, 2, 3))) == ()
    assert late.expiry_warning(holder.peer).startswith("the client certificate ends in ")
    assert (live(holder.snapshot()).expiry_warning(holder.peer), late.expiry_warning(Peer())) == ("", "")


def test_the_door_decides_where_there_is_no_certificate() -> None:
    known = live(Snapshot(generation=1), "viewer")
    unix = Peer(credentials=(7, 1000, 100))
    assert known.identify(Door("unix"), unix).role == "viewer"
    assert known.identify(Door("/run/x", "operator"), unix).role == "operator"
    assert known.identify(Door("/run/x", "operator"), unix).owner == "uid:1000"
    assert known.identify(Door("plaintext"), Peer("1.2.3.4:5")).role == "viewer"
    assert known.identify(Door("plaintext"), Peer("1.2.3.4:5")).owner == "address:1.2.3.4"
    assert live(Snapshot(generation=1)).identify(Door("plaintext"), Peer("1.2.3.4:5")).role == "admin"
    assert "wants a client certificate" in known.identify(TLS, Peer("1.2.3.4:5")).refusal


def test_a_snapshot_that_cannot_be_used_changes_nothing(holder: Holder) -> None:
    known = live(holder.snapshot())
    assert known.apply(Snapshot(generation=2, ca_pem="x", certificate_pem="y", key_pem="z")) == 0
    assert known.identify(TLS, holder.peer).role == "developer"


@pytest.mark.parametrize(
    ("operation_id", "role", "revoked", "stays"),
    [
        ("ContainerLogs", "developer", False, True),
        ("ContainerLogs", "viewer", False, True),
        ("ContainerAttach", "viewer", False, False),
        ("ContainerLogs", "developer", True, False),
        ("-", "developer", True, False),
    ],
)
def test_a_change_cuts_what_may_no_longer_go_on(
    holder: Holder, operation_id: str, role: str, revoked: bool, stays: bool
) -> None:
    async def main() -> None:
        known = live(holder.snapshot())

        async def connection() -> None:
            known.presences.note((TLS, holder.peer), lambda: None, Asked(operation_id))
            await asyncio.Event().wait()

        task = asyncio.create_task(connection())
        await asyncio.sleep(0)
        assert known.apply(holder.snapshot(role, revoked)) == (0 if stays else 1)
        await asyncio.wait({task}, timeout=0)
        assert task.done() is not stays
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(main())


def test_roles_from_access_files_count_and_wrong_files_change_nothing(holder: Holder) -> None:
    text = '[[bindings]]\nrole = "operator"\nuid = 1000\n'
    known = live(Snapshot(generation=1, access={"access.toml": text}))
    unix = Peer(credentials=(7, 1000, 100))
    assert known.identify(Door("unix"), unix).role == "operator"
    assert known.apply(Snapshot(generation=2, access={"access.toml": "roles = 7"})) == 0
    assert known.identify(Door("unix"), unix).role == "operator"
    known.apply(Snapshot(generation=3))
    assert known.identify(Door("unix"), unix).role == ""
