"""From files to a gate worker: what is published when, over a real socket, by real file events."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import AF_UNIX, socket

import pytest
from tests.unit.registrar.front_door import KeysAtHand

from tidegate.base.errors import (
    ConflictError,
    ForbiddenError,
    InvalidParameterError,
    NotSupportedError,
    UnavailableError,
)
from tidegate.gate.behind.registrar_client import RegistrarClient
from tidegate.http.tls_context import context_of_texts
from tidegate.pki.audit.memory import read_key_id, signer_directory
from tidegate.pki.audit.signer import load_verifier
from tidegate.pki.authority import Authority
from tidegate.pki.der import certificate_facts, split_pem
from tidegate.pki.issued import IssueRecord
from tidegate.pki.registrar_messages import Enrol
from tidegate.pki.rotation import Rotation
from tidegate.pki.snapshot import Snapshot
from tidegate.registrar.process import RegistrarProcessSettings, prepare_registrar, serve_registrar
from tidegate.registrar.sources import Sources, TLSFiles
from tidegate.spec.audit.chain import Head, checkpoint_message

NOW = datetime.now(UTC)


def record(root: Path, serial: str = "0A", days: int = 1) -> IssueRecord:
    """Of a client of the CA in ``root``."""
    return IssueRecord(
        serial=serial,
        issuer=certificate_facts(ssl.PEM_cert_to_DER_cert((root / "pki/ca.pem").read_text())).subject,
        name="bob",
        role="viewer",
        origin="create",
        issued_at=NOW,
        not_after=NOW + timedelta(days=days),
        fingerprint="f" * 64,
        key="k" * 64,
    )


def put(root: Path, record: IssueRecord) -> None:
    """As every writer does it: under the lock, or the registrar's upkeep takes the unfinished file for a leftover."""
    authority = Authority(root)
    with authority.changing(authority.records.directory):
        authority.records.put(record)


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    Authority(tmp_path, own_names=lambda: ("localhost",)).ensure_all()
    return tmp_path


def own_files(root: Path) -> TLSFiles:
    pki = root / "pki"
    return TLSFiles(pki / "ca.pem", pki / "server/cert.pem", pki / "server/key.pem")


@dataclass
class Worker:
    client: RegistrarClient
    snapshots: AsyncIterator[Snapshot]
    stop: asyncio.Event

    async def next(self) -> Snapshot:
        return await anext(self.snapshots)


async def connect(root: Path) -> RegistrarClient:
    connection = socket(AF_UNIX)
    connection.setblocking(False)
    while True:
        try:
            await asyncio.get_running_loop().sock_connect(connection, str(root / "registrar.sock"))
            break
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(0)
    return await RegistrarClient.over(connection)


@asynccontextmanager
async def registrar(root: Path, uids: frozenset[int] | None = None) -> AsyncIterator[Worker]:
    admitted = frozenset({os.geteuid()}) if uids is None else uids
    settings = RegistrarProcessSettings(root, root / "registrar.sock", own_files(root), admitted, grace_s=0.5)
    stop = asyncio.Event()
    serving = asyncio.create_task(
        serve_registrar(settings, prepare_registrar(settings), stop, KeysAtHand(settings.data_root))
    )
    client = await connect(root)
    try:
        async with asyncio.timeout(20):
            yield Worker(client, client.snapshots(), stop)
    finally:
        await client.close()
        stop.set()
        await serving


def run(root: Path, scenario: Callable[[Worker], Awaitable[None]]) -> None:
    async def main() -> None:
        async with registrar(root) as worker:
            await scenario(worker)

    asyncio.run(main())


def test_the_first_snapshot_makes_a_server(data_root: Path) -> None:
    async def scenario(worker: Worker) -> None:
        snapshot = await worker.next()
        assert snapshot.generation == 1
        context_of_texts(snapshot.ca_pem, snapshot.certificate_pem, snapshot.key_pem)
        ca = certificate_facts(ssl.PEM_cert_to_DER_cert((data_root / "pki/ca.pem").read_text()))
        assert snapshot.own_issuers == snapshot.trusted_issuers == {ca.subject}
        server, issuer = map(certificate_facts, split_pem(snapshot.certificate_pem, "the chain"))
        assert issuer == ca
        assert snapshot.not_after_s == server.not_after_s
        assert "key" not in repr(snapshot)

    run(data_root, scenario)


def test_records_and_rules_are_published_as_they_change(data_root: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.next()
        put(data_root, record(data_root))
        snapshot = await worker.next()
        assert (snapshot.generation, snapshot.clients["0A"].role) == (2, "viewer")
        put(data_root, IssueRecord(**{**_fields(record(data_root)), "revoked_at": NOW, "reason": "lost"}))
        revoked = (await worker.next()).clients["0A"]
        assert (revoked.revoked_at_s, revoked.reason) == (int(NOW.timestamp()), "lost")
        rules = data_root / "access/policy.cedar"
        rules.write_text("permit")
        while (snapshot := await worker.next()).access != {"policy.cedar": "permit"}:
            assert snapshot.access == {"policy.cedar": ""}  # the file was there before its text
        rules.unlink()
        assert (await worker.next()).access == {}

    run(data_root, scenario)


def _fields(record: IssueRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def test_a_renewed_server_certificate_is_published(data_root: Path) -> None:
    async def scenario(worker: Worker) -> None:
        first = await worker.next()
        Authority(data_root, own_names=lambda: ("localhost",)).ensure_server(lifetime=timedelta(days=5))
        second = await worker.next()
        assert second.certificate_pem != first.certificate_pem
        assert second.not_after_s < first.not_after_s

    run(data_root, scenario)


@pytest.mark.parametrize("broken", ["server/cert.pem", "server/key.pem", "ca.pem", "issued/0A.json"])
def test_a_broken_file_changes_nothing_and_its_mend_is_seen(
    data_root: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = data_root / "pki" / broken
    put(data_root, record(data_root))
    whole = path.read_bytes()

    async def scenario(worker: Worker) -> None:
        assert (await worker.next()).generation == 1
        path.write_bytes(whole[:40])
        while "stays in force" not in caplog.text:
            await asyncio.sleep(0)
        path.write_bytes(whole)
        put(data_root, record(data_root, "0B"))
        snapshot = await worker.next()
        assert snapshot.generation == 2
        assert {"0A", "0B"} < set(snapshot.clients)

    run(data_root, scenario)
    assert str(path) in caplog.text


def test_files_that_cannot_be_used_stop_the_start(data_root: Path) -> None:
    files = own_files(data_root)
    files.key.write_text("junk")
    with pytest.raises(InvalidParameterError, match=r"cannot load TLS files .*server/key\.pem"):
        Sources(data_root, files).read()


def test_an_expired_record_stays_for_a_day(data_root: Path) -> None:
    put(data_root, record(data_root, "0A", days=0))
    put(data_root, record(data_root, "0B", days=-2))
    assert set(Sources(data_root, None).read().clients) & {"0A", "0B"} == {"0A"}


def test_the_next_ca_is_trusted_however_ours_was_named(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Rotation(Authority(data_root, own_names=lambda: ("localhost",))).begin()
    monkeypatch.chdir(data_root)
    own = own_files(data_root)
    for ca in (own.ca, Path("pki/ca.pem")):
        assert len(Sources(data_root, TLSFiles(ca, own.certificate, own.key)).read().trusted_issuers) == 2


def test_a_linked_file_is_followed_where_it_is(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    away, place = tmp_path_factory.mktemp("away"), tmp_path_factory.mktemp("place")
    own = own_files(data_root)
    linked = TLSFiles(*(place / path.name for path in (own.ca, own.certificate, own.key)))
    for path in (own.ca, own.certificate, own.key):
        (away / path.name).write_bytes(path.read_bytes())
        (place / path.name).symlink_to(away / path.name)
    assert {away, place} <= set(Sources(data_root, linked).directories())


def test_strangers_are_not_admitted_and_calls_without_a_desk_are_refused(data_root: Path) -> None:
    async def scenario() -> None:
        async with registrar(data_root, uids=frozenset({4242})) as worker:
            assert [snapshot async for snapshot in worker.snapshots] == []
            with pytest.raises(UnavailableError):
                await worker.client.enrol(Enrol("id", "csr", "proof"))

    asyncio.run(scenario())


def test_an_audit_s_head_is_signed_and_never_an_earlier_one(data_root: Path) -> None:
    async def scenario(worker: Worker) -> None:
        with pytest.raises(InvalidParameterError, match="does not sign the chain"):
            await worker.client.sign_checkpoint("foreign/0", 1, "a" * 64)
        verifier = load_verifier(signer_directory(data_root))
        chain = f"{verifier.key_id}/0"
        signed = await worker.client.sign_checkpoint(chain, 7, "a" * 64)
        message = checkpoint_message(chain, Head(7, "a" * 64), signed.signed_at)
        assert verifier.is_signed(message, signed.signature)
        with pytest.raises(ConflictError, match="cut or rewritten"):
            await worker.client.sign_checkpoint(chain, 6, "b" * 64)

    run(data_root, scenario)


def test_a_gate_learns_that_its_registrar_is_gone(data_root: Path) -> None:
    async def scenario() -> None:
        async with registrar(data_root) as worker:
            await worker.next()
            worker.stop.set()
            assert [snapshot async for snapshot in worker.snapshots] == []
            with pytest.raises(UnavailableError, match="the registrar is gone"):
                await worker.client.enrol(Enrol("id", "csr", "proof"))

    asyncio.run(scenario())


def test_the_registrar_waits_for_workers_that_have_their_audits_signed_last(data_root: Path) -> None:
    async def scenario(worker: Worker) -> None:
        chain = f"{read_key_id(signer_directory(data_root))}/gate-1"
        await worker.next()
        worker.stop.set()
        await asyncio.sleep(0)
        assert (await worker.client.sign_checkpoint(chain, 7, "aa")).of == 7

    run(data_root, scenario)


def test_the_decoy_is_told_nothing_and_has_its_own_audit_signed_only(data_root: Path) -> None:
    async def main() -> None:
        admitted, stop = frozenset({os.geteuid()}), asyncio.Event()
        settings = RegistrarProcessSettings(
            data_root, data_root / "all.sock", None, admitted, decoy_socket=data_root / "registrar.sock"
        )
        serving = asyncio.create_task(
            serve_registrar(settings, prepare_registrar(settings), stop, KeysAtHand(settings.data_root))
        )
        client = await connect(data_root)
        key = read_key_id(signer_directory(data_root))
        assert (await client.sign_checkpoint(f"{key}/decoy", 3, "aa")).of == 3
        assert (await client.sign_checkpoint(f"{key}/decoy@17", 3, "aa")).of == 3
        with pytest.raises(ForbiddenError, match="no say in the chain"):
            await client.sign_checkpoint(f"{key}/gate-1", 10**12, "aa")
        with pytest.raises(NotSupportedError):
            await client.enrol(Enrol("id", "csr", "proof"))
        news = asyncio.ensure_future(anext(client.snapshots()))
        done, _ = await asyncio.wait({news}, timeout=0.1)
        assert not done
        news.cancel()
        await client.close()
        stop.set()
        await serving

    asyncio.run(main())
