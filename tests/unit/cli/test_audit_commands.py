"""``tidegate audit``: what it finds in files, what it shows, and its exit codes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.cli.audit_follow import Follower
from tidegate.cli.main import main
from tidegate.gate.audit.start import AuditSettings, file_opener
from tidegate.pki.audit.files import audit_files, next_file, open_audit
from tidegate.pki.audit.memory import PUBLIC_KEY_FILE
from tidegate.pki.audit.retention import drop_oldest
from tidegate.pki.audit.signer import AuditSigner
from tidegate.spec.audit.chain import Head, seal
from tidegate.spec.audit.records import Decision, Kind, Outcome, Segment

SECOND = 1_000_000_000


class Writer:
    """A gate's worker as the files show it."""

    def __init__(self, root: Path, name: str = "gate-0", signer: AuditSigner | None = None) -> None:
        self.signer = signer or AuditSigner(root / "pki/audit")
        self.name = name
        self.directory = root / "audit"
        opened = open_audit(self.directory, self.signer.key_id, name, None)
        self.chain, self.fd, self.head = opened.chain, opened.fd, opened.beginning.head
        self.time_ns = 1_700_000_000 * SECOND
        self.append(Kind.SEGMENT, opened.beginning.segment)

    def append(self, kind: Kind, record: object) -> Head:
        self.time_ns += SECOND
        line, self.head = seal(self.chain, self.head, kind, self.time_ns, record)  # type: ignore[arg-type]
        os.write(self.fd, line)
        return self.head

    def decide(self, principal: str, operation: str, allowed: bool = True, name: str = "", status: int = 200) -> None:
        decided = self.append(Kind.DECISION, Decision(principal, operation, allowed, "r", object=name))
        self.append(Kind.OUTCOME, Outcome(decided.seq, status, 1.0))

    def sign(self) -> None:
        self.append(Kind.CHECKPOINT, self.signer.sign(self.chain, self.head))

    def rotate(self) -> None:
        os.close(self.fd)
        self.fd = next_file(self.directory, self.name)
        self.append(Kind.SEGMENT, Segment("rotated"))


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path)
    for number in range(6):
        writer.decide("CN=alice", "ContainerStart", name=f"web{number}")
        writer.sign()
        if number in (2, 4):
            writer.rotate()
    yield writer
    os.close(writer.fd)


def verify(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[tuple[str, str, int]]]:
    code = main(["audit", "verify", "--json", "--data-root", str(root), *words])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [(row["finding"], Path(row["file"]).name, row["line"]) for row in rows if "finding" in row]
    return code, found


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_a_whole_audit(writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(tmp_path, capsys) == (0, [])
    assert main(["audit", "verify", "--data-root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{writer.chain}: 21 lines, signed up to line 20, whole\n"


def test_each_file_can_be_looked_at_alone_as_a_part(
    writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in audit_files(writer.directory):
        assert verify(tmp_path, capsys, "--partial", str(path)) == (0, [])
    assert verify(tmp_path, capsys, *map(str, reversed(audit_files(writer.directory)))) == (0, [])


def test_an_edit_and_a_deletion_say_where(writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, _ = audit_files(writer.directory)
    first.write_bytes(first.read_bytes().replace(b"web1", b"web9"))
    second.write_bytes(b"".join(lines_of(second)[:3] + lines_of(second)[4:]))
    code, found = verify(tmp_path, capsys)
    assert code == 1
    assert ("edited", first.name, 5) in found
    assert ("deleted", second.name, 4) in found
    assert main(["audit", "verify", "--data-root", str(tmp_path)]) == 1
    assert f"{first}:5: edited: line 5 is not what its hash was made of" in capsys.readouterr().out


def test_swapped_files(writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, _ = audit_files(writer.directory)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    assert verify(tmp_path, capsys) == (1, [("swapped", first.name, 1), ("swapped", second.name, 1)])


def test_an_end_cut_off_or_a_file_taken_away(
    writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = audit_files(writer.directory)
    third.write_bytes(b"".join(lines_of(third)[:1]))
    assert verify(tmp_path, capsys) == (1, [("truncated", third.name, 1)])
    third.unlink()
    assert verify(tmp_path, capsys)[1] == [("truncated", second.name, len(lines_of(second)))]
    first.unlink()
    assert [what for what, _, _ in verify(tmp_path, capsys)[1]] == ["deleted", "truncated"]
    second.unlink()
    assert [what for what, _, _ in verify(tmp_path, capsys)[1]] == ["truncated"]


def test_files_dropped_on_purpose_are_no_tampering(
    writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = tmp_path / "pki/audit"
    first, second, third = audit_files(writer.directory)
    assert drop_oldest(writer.directory, "gate-0", 3, memory) == 0
    kept = first.read_bytes()
    assert drop_oldest(writer.directory, "gate-0", 2, memory) == 1
    assert audit_files(writer.directory) == [second, third]
    assert verify(tmp_path, capsys) == (0, [])
    first.write_bytes(kept)  # as after a crash between writing it down and doing it
    assert verify(tmp_path, capsys) == (0, [])
    first.unlink()
    second.write_bytes(b"".join(lines_of(second)[1:]))
    assert [what for what, _, _ in verify(tmp_path, capsys)[1]] == ["deleted"]
    third.write_bytes(b"no line\n")
    assert drop_oldest(writer.directory, "gate-0", 1, memory) == 0  # it could not be told from a deletion


def test_the_next_file_drops_the_oldest(writer: Writer, tmp_path: Path) -> None:
    open_next = file_opener(AuditSettings(tmp_path, writer="gate-0", keep_files=2))
    for _ in range(3):
        os.close(writer.fd)
        writer.fd = open_next()
        writer.append(Kind.SEGMENT, Segment("rotated"))
        writer.sign()
    assert [path.name for path in audit_files(writer.directory)] == [
        "gate-0.000005.jsonl",
        "gate-0.000006.jsonl",
    ]


def test_a_foreign_chain(writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stranger = Writer(tmp_path / "other")
    stranger.decide("CN=eve", "ContainerStart")
    (path,) = audit_files(stranger.directory)
    (writer.directory / "gate-7.000001.jsonl").write_bytes(path.read_bytes())
    code, found = verify(tmp_path, capsys)
    assert (code, {what for what, _, _ in found}) == (1, {"foreign", "swapped"})
    os.close(stranger.fd)


def test_a_torn_end_is_told_and_is_no_tampering(
    writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.write(writer.fd, b'{"chain":')
    assert verify(tmp_path, capsys) == (0, [("torn", "gate-0.000003.jsonl", 5)])


def test_a_copy_is_verified_elsewhere_by_the_public_key(
    writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    files = [str(path) for path in audit_files(writer.directory)]
    key = tmp_path / "pki/audit" / PUBLIC_KEY_FILE
    assert verify(elsewhere, capsys, "--key", str(key), *files) == (0, [])
    other = AuditSigner(tmp_path / "second" / "pki/audit")
    assert other.key_id != writer.signer.key_id
    code, found = verify(elsewhere, capsys, "--key", str(tmp_path / "second/pki/audit" / PUBLIC_KEY_FILE), *files)
    assert (code, {what for what, _, _ in found}) == (1, {"foreign"})


@pytest.mark.parametrize("words", [["/no/such/file"], []])
def test_where_there_is_nothing_to_look_at(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", "--data-root", str(tmp_path), *words]) == 2
    assert "could not look" in capsys.readouterr().err


def test_query(writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer.decide("CN=bob", "ContainerCreate", allowed=False, name="evil", status=403)
    other = Writer(tmp_path, "gate-1", writer.signer)
    other.decide("uid=1000", "ImageList")
    os.close(other.fd)

    def query(*words: str) -> list[str]:
        assert main(["audit", "query", "--data-root", str(tmp_path), "--json", *words]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [f"{row['principal']} {row.get('object', '')} {row['outcome']['status']}" for row in rows]

    assert len(query()) == 8
    assert query("--verdict", "refused") == ["CN=bob evil 403"]
    assert query("--principal", "bob") == query("--principal", "CN=b*") == ["CN=bob evil 403"]
    assert query("--operation", "Image*") == ["uid=1000  200"]
    assert query("--object", "web3") == ["CN=alice web3 200"]
    assert query("--since", "2023-11-14T22:13:21Z", "--until", "2023-11-14T22:13:23Z") == [
        "CN=alice web0 200",
        "uid=1000  200",
    ]
    assert main(["audit", "query", "--data-root", str(tmp_path), "--principal", "bob"]) == 0
    assert "CN=bob unix ContainerCreate evil refused by r 403 1.0ms" in capsys.readouterr().out
    assert main(["audit", "query", "--data-root", str(tmp_path), "--since", "yesterday"]) == 1
    assert "invalid timestamp: 'yesterday'" in capsys.readouterr().err


def test_tail(writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "tail", "-n", "2", "--data-root", str(tmp_path)]) == 0
    assert [line.split()[4] for line in capsys.readouterr().out.splitlines()] == ["web4", "web5"]
    assert main(["audit", "tail", "-f", "--data-root", str(tmp_path), str(audit_files(writer.directory)[0])]) == 1


def test_following_sees_new_lines_in_old_and_new_files(writer: Writer) -> None:
    batches = Follower(writer.directory).batches()
    writer.decide("CN=alice", "ContainerStop")
    assert [line.kind for line in next(batches)] == ["decision", "outcome"]
    os.write(writer.fd, b'{"not whole')
    writer.rotate()
    assert [line.kind for line in next(batches)] == ["segment"]
