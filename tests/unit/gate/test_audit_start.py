"""An audit is opened with its first line written, wherever it goes; what cannot be opened says why in one line."""

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tidegate.base.errors import NotFoundError, UnavailableError
from tidegate.gate.audit.start import AuditSettings, start_audit
from tidegate.pki.audit.files import audit_files
from tidegate.pki.audit.memory import signer_directory
from tidegate.pki.audit.signer import AuditSigner
from tidegate.spec.audit.records import Decision


@pytest.fixture
def settings(tmp_path: Path) -> AuditSettings:
    AuditSigner(signer_directory(tmp_path))
    return AuditSettings(tmp_path, journal_socket=tmp_path / "journal", syslog_socket=tmp_path / "log")


def lines(settings: AuditSettings) -> list[dict[str, Any]]:
    content = b"".join(path.read_bytes() for path in audit_files(settings.directory, settings.writer))
    return [json.loads(line) for line in content.splitlines()]


def test_a_file_goes_on_from_start_to_start(settings: AuditSettings) -> None:
    async def worker() -> None:
        audit = start_audit(settings)
        await audit.log.decision(Decision("CN=a", "SystemInfo", True, "admin"))
        await audit.log.close()

    asyncio.run(worker())
    asyncio.run(worker())
    assert [(line["seq"], line["kind"], line.get("reason")) for line in lines(settings)] == [
        (1, "segment", "genesis"),
        (2, "decision", None),
        (3, "segment", "started"),
        (4, "decision", None),
    ]
    assert lines(settings)[0]["pid"] == os.getpid()


def test_workers_have_chains_of_their_own(settings: AuditSettings) -> None:
    for number in (1, 2):
        asyncio.run(start_audit(settings.of_worker(number)).log.close())
    names = [path.name for path in audit_files(settings.directory)]
    assert names == ["gate-1.000001.jsonl", "gate-2.000001.jsonl"]
    assert lines(settings.of_worker(2))[0]["chain"].endswith("/gate-2")


@pytest.mark.parametrize(("kind", "name"), [("journald", "journal"), ("syslog", "log")])
def test_a_log_daemon_gets_a_chain_for_each_start(settings: AuditSettings, kind: str, name: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(settings.data_root / name))
        chains = set()
        for _ in range(2):
            asyncio.run(start_audit(replace(settings, kind=kind)).log.close())
            entry = daemon.recv(1 << 16)
            line = json.loads(entry[entry.index(b"{") :])
            assert (line["seq"], line["kind"], line["reason"]) == (1, "segment", "genesis")
            chains.add(line["chain"])
    assert len(chains) == 2
    assert all("/gate-1@" in chain for chain in chains)


def test_what_cannot_be_opened_says_why(settings: AuditSettings, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"audit: cannot be opened \(syslog\): .*No such file.*log"):
        start_audit(replace(settings, kind="syslog"))
    (tmp_path / "audit").write_text("")
    with pytest.raises(UnavailableError, match="audit: cannot be opened"):
        start_audit(settings)
    with pytest.raises(NotFoundError, match="no audit key"):
        start_audit(replace(settings, data_root=tmp_path / "other"))
