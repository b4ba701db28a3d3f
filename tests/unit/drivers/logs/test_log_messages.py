"""What remotes are sent, byte by byte."""

import gzip
import json
import os
import socket
import zlib

import msgspec
import pytest
from tests.unit.drivers.logs.remote_logs import TIME, TIME_NS, remote_log

from tidegate.drivers.logs.remotes.fluentd import FluentdRemote
from tidegate.drivers.logs.remotes.gelf import DATAGRAM_BYTES, GELFRemote, split_datagram
from tidegate.drivers.logs.remotes.journald import JournaldRemote, encode_fields, field_name
from tidegate.drivers.logs.remotes.messages import PART_SIZE_BYTES, Message, MessageReader, Part
from tidegate.drivers.logs.remotes.syslog import SyslogRemote
from tidegate.engine.ports import LogRecord

OUT, ERR = Message("out", "stdout", TIME_NS), Message("err", "stderr", TIME_NS)


@pytest.mark.parametrize(
    ("wanted", "options"),
    [
        ("<30>Jan  2 03:04:05 tag[{pid}]: out", {}),
        ("<30>Jan  2 03:04:05 {host} tag[{pid}]: out", {"syslog_format": "rfc3164"}),
        ("<30>1 2026-01-02T03:04:05Z {host} tag {pid} tag - out", {"syslog_format": "rfc5424"}),
        ("<30>1 2026-01-02T03:04:05.123456Z {host} tag {pid} tag - out", {"syslog_format": "rfc5424micro"}),
    ],
)  # fmt: skip
def test_syslog(wanted: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    remote = SyslogRemote(remote_log(**options))
    assert remote.format(OUT).decode() == wanted.format(host=socket.gethostname(), pid=os.getpid())


def test_syslog_tells_the_streams_apart() -> None:
    assert SyslogRemote(remote_log()).format(ERR).startswith(b"<27>")
    assert SyslogRemote(remote_log(syslog_facility="local3")).format(OUT).startswith(b"<158>")


def test_gelf() -> None:
    remote = GELFRemote(remote_log("gelf", gelf_address="udp://h:1"))
    assert json.loads(remote.format(ERR)) == {
        "version": "1.1",
        "host": socket.gethostname(),
        "short_message": "err",
        "timestamp": 1767323045.123,
        "level": 3,
        "_container_id": "c" * 64,
        "_container_name": "web",
        "_image_id": "sha256:1",
        "_image_name": "nginx:1",
        "_command": "nginx -g",
        "_tag": "tag",
        "_created": "2026-01-01T00:00:00Z",
        "_team": "a",
    }


@pytest.mark.parametrize(("kind", "unpack"), [("gzip", gzip.decompress), ("zlib", zlib.decompress), ("none", bytes)])
def test_gelf_compresses(kind: str, unpack: object) -> None:
    remote = GELFRemote(remote_log("gelf", gelf_address="udp://h:1", gelf_compression_type=kind))
    assert unpack(remote._packed(b"text")) == b"text"  # type: ignore[operator]


def test_gelf_is_sent_in_chunks() -> None:
    assert split_datagram(b"x" * DATAGRAM_BYTES) == [b"x" * DATAGRAM_BYTES]
    data = os.urandom(5000)
    chunks = split_datagram(data)
    assert all(len(chunk) <= DATAGRAM_BYTES for chunk in chunks)
    assert {chunk[:10] for chunk in chunks} == {chunks[0][:10]} and chunks[0][:2] == b"\x1e\x0f"
    assert [(chunk[10], chunk[11]) for chunk in chunks] == [(n, 4) for n in range(4)]
    assert b"".join(chunk[12:] for chunk in chunks) == data
    assert split_datagram(b"x" * DATAGRAM_BYTES * 129) == []


def test_fluentd() -> None:
    remote = FluentdRemote(remote_log("fluentd"))
    assert remote.record(OUT) == {
        "container_id": "c" * 64, "container_name": "/web", "source": "stdout", "log": "out", "team": "a",
    }  # fmt: skip
    part = OUT._replace(part=Part("id", 2, is_last=True))
    assert remote.record(part).items() >= {
        ("partial_message", "true"), ("partial_id", "id"), ("partial_ordinal", "2"), ("partial_last", "true"),
    }  # fmt: skip
    assert remote._time(OUT) == 1767323045
    precise = FluentdRemote(remote_log("fluentd", fluentd_sub_second_precision="true"))
    assert precise._time(OUT) == msgspec.msgpack.Ext(
        0, (1767323045).to_bytes(4, "big") + (123456789).to_bytes(4, "big")
    )


def test_journald() -> None:
    remote = JournaldRemote(remote_log("journald"))
    assert remote.format(ERR).decode().splitlines() == [
        "CONTAINER_ID=cccccccccccc",
        f"CONTAINER_ID_FULL={'c' * 64}",
        "CONTAINER_NAME=web",
        "CONTAINER_TAG=tag",
        "IMAGE_NAME=nginx:1",
        "SYSLOG_IDENTIFIER=tag",
        "TEAM=a",
        "MESSAGE=err",
        "PRIORITY=3",
        f"SYSLOG_TIMESTAMP={TIME}",
    ]
    first = remote.format(OUT._replace(part=Part("id", 1, is_last=False)))
    assert first.endswith(
        b"CONTAINER_PARTIAL_ID=id\nCONTAINER_PARTIAL_ORDINAL=1\nCONTAINER_PARTIAL_LAST=false\n"
        b"CONTAINER_PARTIAL_MESSAGE=true\n"
    )
    assert b"PARTIAL_MESSAGE" not in remote.format(OUT._replace(part=Part("id", 2, is_last=True)))


def test_journald_fields() -> None:
    assert encode_fields([("A", "x\ny"), ("", "none")]) == b"A\n\x03\0\0\0\0\0\0\0x\ny\n"
    assert field_name("com.example-a") == "COM_EXAMPLE_A" and field_name("_x") == "X"


def test_parts_of_long_lines_belong_together() -> None:
    def record(log: str, stream: str = "stdout") -> LogRecord:
        return LogRecord(log, stream, TIME)

    long = "x" * PART_SIZE_BYTES
    told = list(
        MessageReader().read([record(long), record("e\n", "stderr"), record(long), record("end\n"), record("no end")])
    )
    assert [message.text for message in told] == [long, "e", long, "end", "no end"]
    assert [message.part and message.part[1:] for message in told] == [(1, False), None, (2, False), (3, True), None]
    assert len({message.part.id for message in told if message.part}) == 1
    assert told[0].time_ns == TIME_NS
