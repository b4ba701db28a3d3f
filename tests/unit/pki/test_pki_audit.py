"""The audit's key never goes back; files go on from what is on disk, and say so when that is not what was signed."""

import os
import stat
from pathlib import Path

import pytest

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.pki.audit.files import OpenAudit, audit_files, next_file, open_audit
from tidegate.pki.audit.memory import HEADS_FILE, KEY_FILE, PUBLIC_KEY_FILE, read_heads, read_key_id
from tidegate.pki.audit.signer import AuditSigner, AuditVerifier, load_verifier
from tidegate.spec.audit.chain import Head, checkpoint_message, genesis, seal
from tidegate.spec.audit.records import Kind, Outcome
from tidegate.spec.audit.verify import Walk, pieces_of

KEY = "00112233aabbccdd"


def test_a_head_is_signed_and_remembered(tmp_path: Path) -> None:
    signer = AuditSigner(tmp_path)
    chain = f"{signer.key_id}/gate-0"
    checkpoint = signer.sign(chain, Head(5, "aa"))
    message = checkpoint_message(chain, Head(5, "aa"), checkpoint.signed_at)
    assert load_verifier(tmp_path).is_signed(message, checkpoint.signature)
    assert not load_verifier(tmp_path).is_signed(message + b"x", checkpoint.signature)
    assert not load_verifier(tmp_path).is_signed(message, "not base64")
    assert read_heads(tmp_path) == {chain: Head(5, "aa")}
    assert read_key_id(tmp_path) == signer.key_id == checkpoint.key == load_verifier(tmp_path).key_id
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (KEY_FILE, PUBLIC_KEY_FILE, HEADS_FILE)}
    assert modes == {KEY_FILE: 0o600, PUBLIC_KEY_FILE: 0o644, HEADS_FILE: 0o600}


def test_the_signer_does_not_go_back_even_when_made_anew(tmp_path: Path) -> None:
    signer = AuditSigner(tmp_path)
    chain = f"{signer.key_id}/gate-0"
    signer.sign(chain, Head(5, "aa"))
    signer.sign(chain, Head(5, "aa"))
    signer.sign(chain, Head(9, "bb"))
    for again in (signer, AuditSigner(tmp_path)):
        for head in (Head(8, "cc"), Head(9, "cc")):
            with pytest.raises(ConflictError, match="cut or rewritten"):
                again.sign(chain, head)
    AuditSigner(tmp_path).sign(f"{signer.key_id}/gate-1", Head(1, "aa"))


def test_the_signer_signs_its_own_chains_only(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="does not sign"):
        AuditSigner(tmp_path).sign(f"{KEY}/gate-0", Head(5, "aa"))


def test_a_damaged_memory_or_key_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="--key"):
        load_verifier(tmp_path)
    with pytest.raises(NotFoundError, match="audit key"):
        read_key_id(tmp_path)
    with pytest.raises(InvalidParameterError, match="file is no Ed25519 public key in PEM"):
        AuditVerifier(b"x", "file")
    AuditSigner(tmp_path)
    (tmp_path / HEADS_FILE).write_text("{")
    with pytest.raises(InvalidParameterError, match="damaged"):
        AuditSigner(tmp_path)
    (tmp_path / KEY_FILE).write_text("x")
    with pytest.raises(InvalidParameterError, match="is no Ed25519 private key in PEM"):
        AuditSigner(tmp_path)


def append(audit: OpenAudit, count: int, torn: bytes = b"") -> Head:
    """What a writer does that is killed afterwards."""
    head = audit.beginning.head
    line, head = seal(audit.chain, head, Kind.SEGMENT, 1, audit.beginning.segment)
    os.write(audit.fd, line)
    for _ in range(count):
        line, head = seal(audit.chain, head, Kind.OUTCOME, 1, Outcome(1, 200, 0.1))
        os.write(audit.fd, line)
    os.write(audit.fd, torn)
    os.close(audit.fd)
    return head


def findings(directory: Path, remembered: Head | None) -> list[str]:
    walk = Walk(f"{KEY}/gate-0", lambda _message, _signature: True, remembered)
    for path in audit_files(directory):
        walk.run(pieces_of(path.name, [path.read_bytes()]))
    return [finding.what for finding in walk.findings]


def test_a_chain_goes_on_in_its_file(tmp_path: Path) -> None:
    directory = tmp_path / "audit"
    first = open_audit(directory, KEY, "gate-0", None)
    assert first.beginning.segment.reason == "genesis"
    assert first.beginning.head == genesis(f"{KEY}/gate-0")
    head = append(first, 3)
    second = open_audit(directory, KEY, "gate-0", head)
    assert (second.beginning.segment.reason, second.beginning.head) == ("started", head)
    assert second.size_bytes > 0
    append(second, 3)
    assert [path.name for path in audit_files(directory)] == ["gate-0.000001.jsonl"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(audit_files(directory)[0].stat().st_mode) == 0o600
    assert findings(directory, head) == []


def test_a_torn_end_is_left_alone_and_accounted_for(tmp_path: Path) -> None:
    head = append(open_audit(tmp_path, KEY, "gate-0", None), 3, b'{"chain":"')
    os.close(open_audit(tmp_path, KEY, "gate-0", None).fd)  # killed before it wrote anything
    again = open_audit(tmp_path, KEY, "gate-0", None)
    assert again.beginning.head == head
    assert (again.beginning.segment.reason, again.beginning.segment.torn_bytes) == ("torn", 10)
    append(again, 3)
    assert len(audit_files(tmp_path)) == 2
    walk = Walk(f"{KEY}/gate-0", lambda _message, _signature: True)
    walk.run(piece for path in audit_files(tmp_path) for piece in pieces_of(path.name, [path.read_bytes()]))
    assert [finding.what for finding in walk.findings] == ["torn"]


@pytest.mark.parametrize("torn", [b"", b'{"torn'])
def test_an_end_that_was_cut_off_stays_visible(tmp_path: Path, torn: bytes) -> None:
    signed = append(open_audit(tmp_path, KEY, "gate-0", None), 9)
    (path,) = audit_files(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]) + torn)
    again = open_audit(tmp_path, KEY, "gate-0", signed)
    assert again.beginning.segment.reason == "broken"
    assert "line 10 was signed, and the audit ends with line 4" in again.beginning.segment.lost
    head = append(again, 2)
    assert head.seq == 13
    walk = Walk(f"{KEY}/gate-0", lambda _message, _signature: True, signed)
    walk.run(piece for path in audit_files(tmp_path) for piece in pieces_of(path.name, [path.read_bytes()]))
    assert "deleted" in [finding.what for finding in walk.findings]


def test_an_edited_end_stays_visible(tmp_path: Path) -> None:
    signed = append(open_audit(tmp_path, KEY, "gate-0", None), 3)
    (path,) = audit_files(tmp_path)
    *kept, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(kept) + last.replace(b'"status":200', b'"status":201'))
    again = open_audit(tmp_path, KEY, "gate-0", signed)
    assert (again.beginning.segment.reason, again.beginning.head) == ("broken", signed)
    assert "not what its hash was made of" in again.beginning.segment.lost


def test_another_key_begins_another_chain(tmp_path: Path) -> None:
    append(open_audit(tmp_path, KEY, "gate-0", None), 3)
    again = open_audit(tmp_path, "f" * 16, "gate-0", None)
    assert (again.beginning.segment.reason, again.beginning.head) == ("genesis", genesis("f" * 16 + "/gate-0"))
    append(again, 1)
    assert len(audit_files(tmp_path)) == 2


def test_files_are_numbered_and_an_empty_one_is_used(tmp_path: Path) -> None:
    for _ in range(2):
        os.close(next_file(tmp_path, "gate-0"))
    fd = next_file(tmp_path, "gate-1")
    os.write(fd, b"x")
    os.close(fd)
    os.close(next_file(tmp_path, "gate-1"))
    names = [path.name for path in audit_files(tmp_path)]
    assert names == ["gate-0.000001.jsonl", "gate-1.000001.jsonl", "gate-1.000002.jsonl"]
