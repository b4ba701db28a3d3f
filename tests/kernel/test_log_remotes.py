"""Remote logs to real peers on loopback, by the forwarder as a process: killed, kept waiting, and refused."""

import asyncio
import contextlib
import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.drivers.logs.remote_logs import append, remote_log

import tidegate
from tidegate.drivers.logs.forwarding.places import Assignment, Places, Stage
from tidegate.drivers.logs.forwarding.spool import read_position
from tidegate.drivers.logs.remotes.fluentd import FluentdRemote
from tidegate.drivers.logs.remotes.gelf import GELFRemote
from tidegate.drivers.logs.remotes.journald import JournaldRemote
from tidegate.drivers.logs.remotes.messages import Message, Remote
from tidegate.drivers.logs.remotes.syslog import SyslogRemote

ID = "c" * 64
JOURNALD = "/lib/systemd/systemd-journald"
SEND_TO_JOURNAL = """
import asyncio
from tests.unit.drivers.logs.remote_logs import remote_log
from tidegate.drivers.logs.remotes.journald import JournaldRemote
from tidegate.drivers.logs.remotes.messages import Message
messages = [Message("one", "stdout", 0), Message("two\\nlines", "stderr", 0)]
asyncio.run(JournaldRemote(remote_log("journald")).send(messages))
"""
MESSAGES = [Message(f"line {n}", "stdout", 0) for n in range(100)]
TEXTS = [message.text for message in MESSAGES]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "logs")
    made.make()
    return made


def datagrams(family: socket.AddressFamily, address: object) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind(address)
    sock.settimeout(10)
    return sock


def listener(family: socket.AddressFamily = socket.AF_INET, address: object = ("127.0.0.1", 0)) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen()
    sock.settimeout(20)
    return sock


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def send(remote: Remote) -> None:
    async def main() -> None:
        await remote.send(MESSAGES)
        remote.close()

    asyncio.run(main())


def received(server: socket.socket, remote: Remote, *, tls: ssl.SSLContext | None = None) -> bytes:
    """What a peer gets that reads to the end."""
    got: list[bytes] = []

    def serve() -> None:
        connection, _ = server.accept()
        wrapped = tls.wrap_socket(connection, server_side=True) if tls else connection
        with wrapped as sock, contextlib.suppress(OSError):  # closed without goodbye
            while data := sock.recv(65536):
                got.append(data)

    peer = threading.Thread(target=serve)
    peer.start()
    send(remote)
    peer.join(20)
    return b"".join(got)


@pytest.mark.parametrize("scheme", ["udp", "unixgram"])
def test_syslog_datagrams(scheme: str, tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    sock = datagrams(*((socket.AF_INET, ("127.0.0.1", 0)) if scheme == "udp" else (socket.AF_UNIX, path)))
    address = f"udp://127.0.0.1:{port_of(sock)}" if scheme == "udp" else f"unixgram://{path}"
    reading: list[bytes] = []
    peer = threading.Thread(target=lambda: reading.extend(sock.recv(2000) for _ in MESSAGES))
    peer.start()
    send(SyslogRemote(remote_log(syslog_address=address)))
    peer.join(20)
    assert [line.decode().partition(": ")[2] for line in reading] == TEXTS


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
def test_syslog_streams(scheme: str, tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    server = listener() if scheme == "tcp" else listener(socket.AF_UNIX, path)
    address = f"tcp://127.0.0.1:{port_of(server)}" if scheme == "tcp" else f"unix://{path}"
    got = received(server, SyslogRemote(remote_log(syslog_address=address, syslog_format="rfc5424")))
    assert [line.partition(" - ")[2] for line in got.decode().splitlines()] == TEXTS


def test_syslog_over_tls_counts_octets(tmp_path: Path) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    files = ["-keyout", f"{tmp_path}/key.pem", "-out", f"{tmp_path}/cert.pem", "-subj", "/CN=localhost"]
    subprocess.run([*make, *files, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = listener()
    options = {"syslog_address": f"tcp+tls://localhost:{port_of(server)}", "syslog_format": "rfc5424"}
    got = received(server, SyslogRemote(remote_log(**options, syslog_tls_ca_cert=f"{tmp_path}/cert.pem")), tls=context)
    texts = []
    while got:
        size, _, rest = got.partition(b" ")
        texts.append(rest[: int(size)].decode().partition(" - ")[2])
        got = rest[int(size) :]
    assert texts == TEXTS
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        threading.Thread(target=lambda: _accept_tls(server, context)).start()
        send(SyslogRemote(remote_log(**options)))
    assert received(server, SyslogRemote(remote_log(**options, syslog_tls_skip_verify="")), tls=context)


def _accept_tls(server: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = server.accept()
    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
        pass


def test_gelf_datagrams_in_chunks() -> None:
    sock = datagrams(socket.AF_INET, ("127.0.0.1", 0))
    address = f"udp://127.0.0.1:{port_of(sock)}"
    text = os.urandom(4000).hex()

    async def main() -> None:
        for kind in ("none", "gzip"):
            remote = GELFRemote(remote_log("gelf", gelf_address=address, gelf_compression_type=kind))
            await remote.send([Message(text, "stderr", 0)])
            remote.close()

    asyncio.run(main())
    for unpack in (bytes, gzip.decompress):
        first = sock.recv(2000)
        chunks = [first] + [sock.recv(2000) for _ in range(first[11] - 1)]
        document = unpack(b"".join(chunk[12:] for chunk in sorted(chunks, key=lambda chunk: chunk[10])))
        assert json.loads(document)["short_message"] == text


def test_gelf_streams() -> None:
    server = listener()
    got = received(server, GELFRemote(remote_log("gelf", gelf_address=f"tcp://127.0.0.1:{port_of(server)}")))
    assert [json.loads(document)["short_message"] for document in got.split(b"\0")[:-1]] == TEXTS


def test_journald_entries_even_those_that_are_too_long_for_a_datagram(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    sock = datagrams(socket.AF_UNIX, path)
    log = replace(remote_log("journald"), attributes={"big": "x" * 1_000_000})

    async def main() -> None:
        for each in (remote_log("journald"), log):
            remote = JournaldRemote(each, path)
            await remote.send([Message("told", "stderr", 0)])
            remote.close()

    asyncio.run(main())
    assert b"MESSAGE=told\nPRIORITY=3\n" in sock.recv(65536)
    data, fds, _, _ = socket.recv_fds(sock, 65536, 1)
    with open(fds[0], "rb") as file:
        assert data == b"" and f"BIG={'x' * 1_000_000}\n".encode() in os.pread(file.fileno(), 2_000_000, 0)


@pytest.mark.skipif(os.geteuid() != 0 or not Path(JOURNALD).exists(), reason="needs root, and journald's program")
def test_the_journal_itself_takes_the_entries(tmp_path: Path) -> None:
    (tmp_path / "send.py").write_text(SEND_TO_JOURNAL)
    script = f"""
        mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal
        {JOURNALD} 2>/dev/null & journald=$!
        while [ ! -S /run/systemd/journal/socket ]; do sleep 0.05; done
        {sys.executable} {tmp_path}/send.py
        for try in $(seq 100); do
            journalctl -D /run/log/journal -o json CONTAINER_NAME=web > {tmp_path}/found 2>/dev/null
            [ "$(wc -l < {tmp_path}/found)" = 2 ] && break; sleep 0.05
        done
        kill $journald
    """
    environment = {**os.environ, "PYTHONPATH": f"{Path(tidegate.__file__).parents[1]}:{Path(__file__).parents[2]}"}
    subprocess.run(["unshare", "-m", "sh", "-c", script], check=True, env=environment, timeout=60)
    entries = [json.loads(line) for line in (tmp_path / "found").read_text().splitlines()]
    assert [(entry["MESSAGE"], entry["PRIORITY"], entry["CONTAINER_TAG"]) for entry in entries] == [
        ("one", "6", "tag"),
        ("two\nlines", "3", "tag"),
    ]


class FluentPeer:
    """Acknowledges what it has read, unless it is told to drop the connection first."""

    def __init__(self, *, acks: bool = True) -> None:
        self.server = listener()
        self.address = f"tcp://127.0.0.1:{port_of(self.server)}"
        self.texts: list[str] = []
        self.drops = 0
        self._acks = acks
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(TimeoutError):
            while True:
                connection, _ = self.server.accept()
                with connection, contextlib.suppress(ConnectionError):  # of a forwarder that was killed
                    self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        data = b""
        while piece := connection.recv(1 << 20):
            data += piece
            try:
                tag, entries, option = msgspec.msgpack.decode(data)
            except msgspec.DecodeError:
                continue
            data = b""
            if self.drops:
                self.drops -= 1
                return
            assert tag == "tag" and option["size"] == len(entries)
            self.texts += [record["log"] for _, record in entries]
            if self._acks:
                connection.sendall(msgspec.msgpack.encode({"ack": option["chunk"]}))


def test_fluentd_with_acknowledgements() -> None:
    peer = FluentPeer()
    send(FluentdRemote(remote_log("fluentd", fluentd_address=peer.address, fluentd_request_ack="true")))
    assert peer.texts == TEXTS


# ----------------------------------------------------------------------------- the forwarder as a process


@contextlib.contextmanager
def forwarder(places: Places) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "tidegate.drivers.logs.forwarding", "--root", str(places.root)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def assign(places: Places, stage: Stage, driver: str, **options: str) -> None:
    places.write(ID, Assignment(remote_log(driver, **options), stage, time.time()))


def test_a_killed_forwarder_loses_nothing(places: Places) -> None:
    peer = FluentPeer()
    options = {"fluentd_address": peer.address, "fluentd_request_ack": "true"}
    assign(places, Stage.RUNNING, "fluentd", **options)
    written = 0
    for round_number in range(6):
        with forwarder(places) as process:
            for _ in range(20):
                append(places.log(ID), *range(written, written + 500))
                written += 500
                time.sleep(0.003)
            peer.drops = round_number % 2
            if round_number % 3 == 0:
                until(lambda: len(peer.texts) > 0)
            os.kill(process.pid, signal.SIGKILL)
    assign(places, Stage.ENDED, "fluentd", **options)
    with forwarder(places) as process:
        assert process.wait(30) == 0
    wanted = [f"line {number}" for number in range(written)]
    assert list(dict.fromkeys(peer.texts)) == wanted  # in order; only what was under way came twice


def test_a_remote_that_is_away_is_waited_for_and_one_that_comes_back_gets_all(places: Places) -> None:
    probe = listener()
    port = port_of(probe)
    probe.close()
    append(places.log(ID), *range(100))
    assign(places, Stage.ENDED, "syslog", syslog_address=f"tcp://127.0.0.1:{port}")
    with forwarder(places) as process:
        time.sleep(0.5)
        assert process.poll() is None
        server = listener(address=("127.0.0.1", port))
        connection, _ = server.accept()
        got = b""
        with connection:
            while got.count(b"\n") < 100:
                got += connection.recv(65536)
        assert process.wait(30) == 0
    assert [line.partition(": ")[2] for line in got.decode().splitlines()] == [f"line {n}" for n in range(100)]


def test_what_a_non_blocking_log_cannot_keep_is_dropped_and_counted(places: Places) -> None:
    log = remote_log("fluentd", fluentd_address="unix:///nowhere", fluentd_retry_wait="0s")
    places.write(ID, Assignment(replace(log, limit_bytes=2000), Stage.RUNNING, time.time()))
    append(places.log(ID), *range(1000))
    with forwarder(places):
        until(lambda: places.position(ID).exists() and _dropped(places) > 900)
        peer = FluentPeer(acks=False)
        again = replace(log, options={"fluentd-address": peer.address}, limit_bytes=2000)
        places.write(ID, Assignment(again, Stage.RUNNING, time.time()))
        until(lambda: bool(peer.texts) and peer.texts[-1] == "line 999")
    assert len(peer.texts) + _dropped(places) == 1000


def _dropped(places: Places) -> int:
    return read_position(places.position(ID)).dropped


def test_there_is_one_forwarder_and_it_ends_with_its_work(places: Places) -> None:
    peer = FluentPeer(acks=False)
    assign(places, Stage.RUNNING, "fluentd", fluentd_address=peer.address)
    append(places.log(ID), 1)
    with forwarder(places) as first, forwarder(places) as second:
        until(lambda: peer.texts == ["line 1"])
        until(lambda: (first.poll() is None) != (second.poll() is None))
        append(places.log(ID), 2)
        assign(places, Stage.REMOVED, "fluentd", fluentd_address=peer.address)
        assert (first.wait(30), second.wait(30)) == (0, 0)
    assert peer.texts == ["line 1", "line 2"] and list(places.ids()) == [] and not places.log(ID).exists()
