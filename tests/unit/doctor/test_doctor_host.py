"""The doctor's look at a host: each weakness is found by its name, and a sound host gets no finding."""

import json
import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from doctor_host import add_process, engine, tcp_table

from tidegate.cli.doctor import audits, benchmark, certificates, clients, containers, listeners, probe, sockets
from tidegate.cli.doctor.engines import Engine, find_engines, judge_doors, parse_flags
from tidegate.cli.doctor.findings import Finding, Report, Severity
from tidegate.cli.doctor.host import Host, Process
from tidegate.cli.doctor.rounds import look_at_host
from tidegate.cli.main import main
from tidegate.pki import certificates as own
from tidegate.pki.audit.files import audit_files, open_audit
from tidegate.pki.audit.memory import signer_directory
from tidegate.pki.audit.signer import AuditSigner
from tidegate.pki.authority import Authority
from tidegate.pki.issued import IssuedRecords, IssueRecord
from tidegate.spec.audit.chain import genesis, parse_line, seal
from tidegate.spec.audit.records import Decision, Kind

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    return Host(tmp_path)


def ids(findings: list[Finding]) -> list[str]:
    return [finding.id for finding in findings]


def started(host: Host, *argv: str) -> Engine:
    add_process(host, 100, *argv)
    (found,) = find_engines(host)
    return found


# ---------------------------------------------------------------- listeners


def test_listeners_are_read_from_the_kernel_s_tables() -> None:
    rows = listeners.parse_listeners(tcp_table(("127.0.0.1", 2375, 7), ("0.0.0.0", 80, 8)))
    assert [(row.address, row.port, row.inode) for row in rows] == [("127.0.0.1", 2375, 7), ("0.0.0.0", 80, 8)]
    six = "head\n 0: 00000000000000000000000001000000:0947 0:0 0A 0:0 0:0 0 0 0 9\n"
    mapped = "head\n 0: 0000000000000000FFFF00000100007F:0947 0:0 0A 0:0 0:0 0 0 0 9\n"
    assert [row.url for row in listeners.parse_listeners(six)] == ["tcp://[::1]:2375"]
    assert [row.url for row in listeners.parse_listeners(mapped)] == ["tcp://127.0.0.1:2375"]
    assert listeners.TCPListener("0.0.0.0", 1, 1).reachable_at == "127.0.0.1"
    assert listeners.TCPListener("::", 1, 1).reachable_at == "::1"


def test_a_plaintext_api_is_found_at_a_swept_port_and_at_an_engine_s(host: Host) -> None:
    with engine() as port:
        host.path("/proc/net/tcp").write_text(tcp_table(("127.0.0.1", port, 7), ("127.0.0.1", 22, 8)))
        report = Report()
        listeners.look_at_listeners(host, report)
        assert report.findings == []  # a port of nobody known is left in peace
        add_process(host, 5, "/usr/bin/dockerd", sockets=(7,))
        listeners.look_at_listeners(host, report)
        (finding,) = report.findings
    assert (finding.id, finding.severity) == ("plaintext-api", Severity.HIGH)
    assert finding.where == f"tcp://127.0.0.1:{port} (dockerd, pid 5)"
    public = listeners.judge(listeners.TCPListener("0.0.0.0", 2375, 1), None, probe.Answer.PLAIN_API)
    assert [finding.severity for finding in public] == [Severity.CRITICAL]


def server_context(tmp_path: Path, verify: bool) -> ssl.SSLContext:
    authority = Authority(tmp_path, own_names=lambda: ("localhost",))
    authority.ensure_all()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_directory / "cert.pem", authority.server_directory / "key.pem")
    if verify:
        context.load_verify_locations(authority.ca_path)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_what_answers_to_a_stranger(tmp_path: Path) -> None:
    with engine() as port:
        assert probe.probe("127.0.0.1", port) is probe.Answer.PLAIN_API
    with engine(api=False) as port:
        assert probe.probe("127.0.0.1", port) is probe.Answer.OTHER
    assert probe.probe("127.0.0.1", port) is probe.Answer.NOTHING
    with engine(context=server_context(tmp_path / "open", verify=False)) as port:
        assert probe.probe("127.0.0.1", port) is probe.Answer.OPEN_TLS_API
    with engine(context=server_context(tmp_path / "locked", verify=True)) as port:
        assert probe.probe("127.0.0.1", port) is probe.Answer.LOCKED


def test_what_answers_mean(host: Host) -> None:
    public = listeners.TCPListener("0.0.0.0", 2375, 1)
    decoy = Process(1, "tidegate-decoy", (), 65534)
    assert ids(listeners.judge(public, decoy, probe.Answer.PLAIN_API)) == []
    assert ids(listeners.judge(public, None, probe.Answer.OPEN_TLS_API)) == ["tls-without-client-certificate"]
    assert ids(listeners.judge(public, None, probe.Answer.OTHER)) == ["swept-port-in-use"]
    assert ids(listeners.judge(public, None, probe.Answer.LOCKED)) == []


# ---------------------------------------------------------------- unix sockets


def test_sockets_and_who_may_open_them(host: Host, tmp_path: Path) -> None:
    path = host.path("/run/docker.sock")
    with engine(path):
        path.chmod(0o666)
        assert sockets.find_sockets(host) == [path]
        report = Report()
        sockets.look_at_sockets(host, report, lambda _gid: ["alice"])
        assert ids(report.findings) == ["socket-open-to-all"]
    mode = stat.S_IFSOCK | 0o660
    assert ids(sockets.judge(path, mode, 999, ["alice", "bob"])) == ["socket-group-is-root"]
    assert "alice, bob" in sockets.judge(path, mode, 999, ["alice", "bob"])[0].what
    assert sockets.judge(path, mode, 999, []) == sockets.judge(path, mode, 0, ["root"]) == []


def test_a_socket_that_only_the_kernel_s_table_knows(host: Host) -> None:
    path = host.path("/srv/docker.sock")
    path.parent.mkdir()
    host.path("/proc/net/unix").write_text(f"Num RefCount\n0: 2 0 10000 0001 01 5 /srv/{path.name}\n1: 2 0 0 0 1 6\n")
    with engine(path):
        assert sockets.find_sockets(host) == [path]


# ---------------------------------------------------------------- engines


def test_flags_are_read_as_dockerd_reads_them() -> None:
    words = "-H fd:// -Htcp://0.0.0.0:2375 --host=unix:///x --tls --icc=false --log-level debug -D --data-root /d"
    assert parse_flags(tuple(words.split())) == {
        "hosts": ["fd://", "tcp://0.0.0.0:2375", "unix:///x"],
        "tls": True,
        "icc": "false",
        "log-level": "debug",
        "debug": True,
        "data-root": "/d",
    }


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        ("dockerd -H tcp://0.0.0.0:2375", ["engine-plaintext"]),
        ("dockerd -H tcp://127.0.0.1:2375", ["engine-plaintext"]),
        ("dockerd -H tcp://0.0.0.0:2376 --tls --tlscert a --tlskey b", ["engine-without-client-auth"]),
        ("dockerd -H tcp://0.0.0.0:2376 --tlsverify=false", ["engine-without-client-auth"]),
        ("dockerd -H tcp://0.0.0.0:2376 --tlsverify", []),
        ("dockerd -H fd://", []),
        ("/usr/bin/podman system service --time=0 tcp:0.0.0.0:8080", ["engine-plaintext"]),
        ("/usr/bin/podman system service --time=0", []),
        ("tidegate up -H tcp://127.0.0.1:2375 --allow-plaintext", ["engine-plaintext"]),
        ("/usr/bin/python3 -m tidegate up -H tcp://0.0.0.0:2376", []),
    ],
)
def test_doors_as_the_start_asked_for_them(host: Host, argv: str, found: list[str]) -> None:
    assert ids(judge_doors(started(host, *argv.split()))) == found


def test_a_local_door_is_less_bad(host: Host) -> None:
    assert judge_doors(started(host, "dockerd", "-H", "tcp://127.0.0.1:1"))[0].severity is Severity.HIGH


def test_settings_of_file_and_flags_are_one(host: Host) -> None:
    config = host.path("/etc/docker/daemon.json")
    config.parent.mkdir(parents=True)
    config.write_text('{"hosts": ["tcp://0.0.0.0:2375"], "icc": false, "log-level": "warn"}')
    found = started(host, "/usr/bin/dockerd", "--log-level", "info")
    assert (found.texts("hosts"), found.flag("icc", True), found.text("log-level")) == (
        ["tcp://0.0.0.0:2375"],
        False,
        "info",
    )
    config.write_text("{")
    (broken,) = find_engines(host)
    assert "daemon.json" in broken.config_error


def test_forked_children_are_the_same_engine_and_others_are_none(host: Host) -> None:
    for pid in (1, 2):
        add_process(host, pid, "/opt/venv/bin/tidegate", "up")
    add_process(host, 3, "vim", "dockerd")
    add_process(host, 4, "docker", "ps")
    host.path("/proc/7").mkdir()  # ended while we looked
    assert [each.where for each in find_engines(host)] == ["tidegate, pid 1"]


# ---------------------------------------------------------------- the benchmark

SOUND = (
    "--tlsverify --icc=false --no-new-privileges --live-restore --userland-proxy=false --userns-remap default "
    "--default-ulimit nofile=1024 --log-driver journald --authorization-plugin x --rootless"
)


def test_a_sound_engine_passes_every_row(host: Host) -> None:
    assert benchmark.judge_engine(started(host, "dockerd", *SOUND.split())) == []


@pytest.mark.parametrize(
    ("extra", "row"),
    [
        ("--icc=true", "cis-2.2"),
        ("-D", "cis-2.3"),
        ("--log-level error", "cis-2.3"),
        ("--iptables=false", "cis-2.4"),
        ("--insecure-registry a:5000", "cis-2.5"),
        ("--storage-driver aufs", "cis-2.6"),
        ("-H tcp://0.0.0.0:2375 --tlsverify=false", "cis-2.7"),
        ("--cgroup-parent=/x", "cis-2.10"),
        ("--log-driver local", "cis-2.13"),
        ("--no-new-privileges=false", "cis-2.14"),
        ("--live-restore=false", "cis-2.15"),
        ("--userland-proxy=true", "cis-2.16"),
        ("--seccomp-profile unconfined", "cis-2.17"),
        ("--experimental", "cis-2.18"),
    ],
)
def test_each_row_is_broken_by_what_it_is_about(host: Host, extra: str, row: str) -> None:
    assert ids(benchmark.judge_engine(started(host, "dockerd", *SOUND.split(), *extra.split()))) == [row]


def test_an_engine_without_settings_breaks_the_rows_of_bad_defaults(host: Host) -> None:
    found = ids(benchmark.judge_engine(started(host, "dockerd", "-H", "tcp://1.2.3.4:2376")))
    assert {"cis-2.7", "cis-2.8", "cis-2.9", "cis-2.12", "cis-2.1"} <= set(found)
    assert benchmark.judge_engine(Engine("tidegate", Process(1, "tidegate", (), 0))) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_files_of_the_engine(host: Host) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        host.path(f"/{name}").write_text("")
        host.path(f"/{name}").chmod(0o600)
    running = started(host, "dockerd", "--tlscacert", "/ca.pem", "--tlscert", "/cert.pem", "--tlskey", "/key.pem")

    def found() -> list[str]:
        report = Report()
        benchmark.look_at_benchmark(host, [running], report)
        return [each.id for each in report.findings if each.id.startswith("cis-3")]

    assert found() == []
    host.path("/key.pem").chmod(0o640)
    os.chown(host.path("/cert.pem"), 1000, 1000)
    host.path("/ca.pem").chmod(0o666)
    assert sorted(found()) == ["cis-3.10", "cis-3.11", "cis-3.14"]


# ---------------------------------------------------------------- containers


def container(**config: Any) -> dict[str, Any]:
    mounts = config.pop("mounts", [])
    return {"Id": "a" * 64, "Name": "/web", "HostConfig": config, "Mounts": mounts}


def bind(source: str, writable: bool = True) -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "RW": writable}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (container(), []),
        (container(Privileged=True), ["privileged-container"]),
        (container(mounts=[bind("/")]), ["host-root-mounted"]),
        (container(mounts=[bind("/", writable=False)]), ["host-root-mounted"]),
        (container(mounts=[bind("/var/run/docker.sock", writable=False)]), ["engine-socket-mounted"]),
        (container(mounts=[bind("/srv/x/docker.sock")]), ["engine-socket-mounted"]),
        (container(mounts=[bind("/var/lib/docker")]), ["engine-data-mounted"]),
        (container(mounts=[{"Type": "volume", "Source": "/var/lib/docker/volumes/a/_data", "RW": True}]), []),
        (container(mounts=[bind("/etc")]), ["host-directory-mounted"]),
        (container(mounts=[bind("/etc", writable=False)]), []),
        (container(mounts=[bind("/root", writable=False)]), ["host-directory-mounted"]),
        (container(mounts=[bind("/srv/web")]), []),
        (container(PidMode="host"), ["host-namespace"]),
        (container(NetworkMode="host"), ["host-namespace"]),
        (container(CapAdd=["CAP_SYS_ADMIN"]), ["strong-capabilities"]),
        (container(CapAdd=["NET_BIND_SERVICE"]), []),
        (container(SecurityOpt=["seccomp=unconfined"]), ["unconfined-container"]),
        (container(SecurityOpt=None, CapAdd=None), []),
    ],
)
def test_containers_that_own_the_host(found: dict[str, Any], expected: list[str]) -> None:
    assert ids(containers.judge(found, Path("/run/docker.sock"))) == expected


def test_engines_are_asked_over_their_sockets(tmp_path: Path) -> None:
    path, dead = tmp_path / "docker.sock", tmp_path / "dead" / "docker.sock"
    report = Report()
    with engine(path, {"one": container(Privileged=True), "two": container()}):
        containers.look_at_containers([path, dead, tmp_path / "containerd.sock"], report)
    assert ids(report.findings) == ["privileged-container"]
    assert report.findings[0].where == f"container web ({path})"
    assert report.not_looked_at == [f"containers behind {dead}: [Errno 2] No such file or directory"]


# ---------------------------------------------------------------- certificates


def certificate(key: Any, days: int = 400, start: datetime = NOW - timedelta(days=10), hash_: Any = None) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "it")])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(5).public_key(key.public_key())
    )
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=days))
    return builder.sign(key, hash_ or hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def private(key: Any) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


EC = ec.generate_private_key(ec.SECP256R1())


def of_certificate(pem: bytes) -> list[str]:
    return ids(certificates.judge_certificates(Path("c.pem"), pem, NOW))


def test_certificates() -> None:
    assert of_certificate(certificate(EC)) == []
    assert of_certificate(certificate(EC, days=5)) == ["certificate-expired"]
    assert of_certificate(certificate(EC, days=20)) == []  # a short life is not near its end for most of it
    assert of_certificate(certificate(EC, days=12)) == ["certificate-expiring"]
    assert of_certificate(certificate(EC, days=100, start=NOW - timedelta(days=80))) == ["certificate-expiring"]
    assert of_certificate(certificate(EC, start=NOW + timedelta(hours=1))) == ["certificate-not-yet-valid"]
    assert of_certificate(certificate(rsa.generate_private_key(65537, 1024))) == ["weak-key"]
    assert of_certificate(b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n") == ["certificate-unreadable"]


SIGNED_WITH_SHA1 = b"""
-----BEGIN CERTIFICATE-----
MIIBEzCBvAIUK6O9yl4Z/kW7kyg65WVLiqcjXaAwCQYHKoZIzj0EATANMQswCQYD
VQQDDAJjYTAeFw0yNjExMjYyMjUwNDJaFw0zNjExMjMyMjUwNDJaMA8xDTALBgNV
BAMMBGxlYWYwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARiavTFdWTnx9B4xmuc
zD/7gxn+ATtWCtSqY/Y+Vng0JJdQG6te8Mb1PpIRucWBlFyu9J7en11UuXc0rK1p
NdwBMAkGByqGSM49BAEDRwAwRAIgR0kFUZAZohqB7/3Z6eGCw8aYDjrq4NSfwMik
vavDMrMCIC/O4agiUPCQMW5mTkKQ5LXjGMNIFA2s+Jv3lFEODLoi
-----END CERTIFICATE-----
"""


def test_a_signature_that_can_be_forged() -> None:
    assert of_certificate(SIGNED_WITH_SHA1) == ["weak-signature"]


def test_a_client_s_certificate_should_not_live_for_years() -> None:
    ca_key, key = own.new_key(), own.new_key()
    issuer = own.Issuer(own.make_ca(ca_key, NOW), ca_key)
    for purpose, found in ((own.Purpose.CLIENT, ["long-lived-client"]), (own.Purpose.SERVER, [])):
        leaf = own.make_leaf(issuer, own.Leaf(key.public_key(), "it", purpose), NOW, timedelta(days=1000))
        assert of_certificate(own.encode_certificate(leaf)) == found


def test_our_own_pki_is_sound(tmp_path: Path) -> None:
    Authority(tmp_path, now=lambda: NOW, own_names=lambda: ("localhost",)).ensure_all()
    report = Report()
    found = certificates.certificate_files(Host(tmp_path / "none"), [], [tmp_path])
    certificates.look_at_certificates(found, report, NOW)
    assert report.findings == []
    assert len(found) > 5


def test_keys(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(private(EC))
    assert certificates.judge_key(path, 0o100600, private(EC)) == []
    assert ids(certificates.judge_key(path, 0o100640, private(EC))) == ["key-readable"]
    assert certificates.judge_key(path, 0o100644, private(EC))[0].severity is Severity.CRITICAL
    weak = private(rsa.generate_private_key(65537, 1024))
    assert ids(certificates.judge_key(path, 0o100600, weak)) == ["weak-key"]
    (tmp_path / "cert.pem").write_bytes(certificate(ec.generate_private_key(ec.SECP256R1())))
    assert ids(certificates.judge_key(path, 0o100600, private(EC))) == ["key-mismatch"]
    (tmp_path / "cert.pem").write_bytes(certificate(EC))
    assert certificates.judge_key(path, 0o100600, private(EC)) == []


def test_keys_of_people_and_of_engines_are_found(host: Host) -> None:
    roots_home = "/root"
    for place in (f"{roots_home}/.docker", "/home/alice/.docker/contexts/tls/x/docker", "/etc/docker", "/srv"):
        host.path(place).mkdir(parents=True)
        host.path(f"{place}/key.pem").write_bytes(private(EC))
        host.path(f"{place}/key.pem").chmod(0o644)
    report = Report()
    running = started(host, "dockerd", "--tlskey=/srv/key.pem")
    certificates.look_at_certificates(certificates.certificate_files(host, [running], []), report)
    assert ids(report.findings) == ["key-readable"] * 4


# ---------------------------------------------------------------- clients that never came


def record(serial: str, issued_days_ago: int, revoked: bool = False) -> IssueRecord:
    return IssueRecord(
        serial=serial,
        name=f"client{serial}",
        role="viewer",
        origin="create",
        issued_at=NOW - timedelta(days=issued_days_ago),
        not_after=NOW + timedelta(days=30),
        fingerprint="f" * 64,
        key="k" * 64,
        issuer="i" * 64,
        revoked_at=NOW if revoked else None,
    )


def test_clients_that_never_came(tmp_path: Path) -> None:
    records = [record("0A", 30), record("0B", 30), record("0C", 30, revoked=True), record("0D", 2)]
    line, _ = seal(
        "k/gate-1", genesis("k/gate-1"), Kind.DECISION, 0, Decision("CN=a", "X", True, "r", certificate="0A")
    )
    seen, began = clients.seen_certificates([parse_line(line[:-1])])
    assert (seen, began) == ({"0A"}, datetime(1970, 1, 1, tzinfo=UTC))
    found = list(clients.judge(records, seen, NOW - timedelta(days=40), NOW, tmp_path))
    assert [(each.id, each.mend) for each in found] == [("client-never-came", "tidegate client revoke 0B")]
    late = NOW - timedelta(days=1)
    assert list(clients.judge(records, seen, late, NOW, tmp_path)) == []  # the audit is younger than the certificates
    assert list(clients.judge(records, seen, None, NOW, tmp_path)) == []


def test_a_data_root_is_looked_at(tmp_path: Path) -> None:
    report = Report()
    clients.look_at_clients(tmp_path, report)
    assert report == Report()
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit/gate-1.000001.jsonl").write_text("")
    IssuedRecords(tmp_path / "pki").put(record("0A", 30))
    clients.look_at_clients(tmp_path, report)
    assert (report.findings, report.looked_at) == ([], [f"1 clients of {tmp_path}"])
    (tmp_path / "pki/issued/0B.json").write_text("{")
    clients.look_at_clients(tmp_path, report)
    assert "no record of a certificate" in report.not_looked_at[0]


# ---------------------------------------------------------------- audits


def write_audit(root: Path, writer: str = "gate-1") -> Path:
    signer = AuditSigner(signer_directory(root))
    opened = open_audit(root / "audit", signer.key_id, writer, None)
    line, head = seal(opened.chain, opened.beginning.head, Kind.SEGMENT, 0, opened.beginning.segment)
    content = line
    for number in range(5):
        line, head = seal(opened.chain, head, Kind.DECISION, number, Decision(f"CN=a{number}", "X", True, "r"))
        content += line
    line, _ = seal(opened.chain, head, Kind.CHECKPOINT, 9, signer.sign(opened.chain, head))
    os.write(opened.fd, content + line)
    os.close(opened.fd)
    return audit_files(root / "audit", writer)[-1]


def of_audits(root: Path, total_bytes: int = 10**12, free_bytes: int = 10**11) -> list[str]:
    report = Report()
    audits.look_at_audits(root, report, lambda _path: (total_bytes, free_bytes))
    assert report.not_looked_at == []
    return ids(report.findings)


def test_audits(tmp_path: Path) -> None:
    assert of_audits(tmp_path) == []
    path = write_audit(tmp_path)
    whole = path.read_bytes()
    assert of_audits(tmp_path) == []
    assert of_audits(tmp_path, free_bytes=10**10) == ["audit-disk-filling"]
    assert of_audits(tmp_path, 10**10, 10**8) == ["audit-disk-filling"]
    path.write_bytes(whole.replace(b"CN=a3", b"CN=b3"))
    assert of_audits(tmp_path) == ["audit-tampered"]
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert of_audits(tmp_path) == ["audit-tampered"]
    path.write_bytes(whole)
    path.with_name("gate-1.000002.jsonl").write_bytes(b"")  # opened, and nothing written yet
    assert of_audits(tmp_path) == []


# ---------------------------------------------------------------- the whole


def test_a_bare_host_is_clean(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    host.path("/proc/net/tcp").write_text(tcp_table())
    report = look_at_host(host, [])
    assert (report.findings, report.not_looked_at, report.exit_code(Severity.LOW)) == ([], [], 0)


def test_a_host_with_a_worm_s_door(host: Host) -> None:
    add_process(host, 9, "/usr/bin/dockerd", "-H", "tcp://0.0.0.0:2375", "-H", "fd://")
    with engine(host.path("/run/docker.sock"), {"one": container(mounts=[bind("/")])}):
        report = look_at_host(host, [])
    assert {"engine-plaintext", "host-root-mounted", "cis-2.7"} <= set(ids(report.findings))
    assert report.worst_first()[0].severity is Severity.CRITICAL
    assert report.exit_code(Severity.CRITICAL) == 1


def test_exit_codes() -> None:
    weak = Finding("x", Severity.LOW, "w", "h", "m")
    assert Report([weak]).exit_code(Severity.LOW) == 1
    assert Report([weak]).exit_code(Severity.HIGH) == 0
    assert Report([weak], not_looked_at=["a"]).exit_code(Severity.HIGH) == 2
    assert Report().exit_code(Severity.INFO) == 0


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = main(["doctor", "--json", "--fail-on", "critical", "--data-root", str(tmp_path)])
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"findings", "looked_at", "not_looked_at"}
    assert code in (0, 1, 2)
    assert all(set(each) == {"id", "severity", "what", "where", "mend"} for each in found["findings"])
