"""What ``tidegate gate`` is told, and what it refuses with the setting's name."""

from pathlib import Path

import pytest

from tidegate.base.errors import ConflictError, InvalidParameterError
from tidegate.cli.gate_command import decide_gate_config, parse_upstream
from tidegate.cli.gate_family import lock_data_root


def test_a_gate_listens_on_2376_with_an_exec_root_of_its_own() -> None:
    config = decide_gate_config({}, {})
    assert [(host.address, host.port, host.tls) for host in config.tcp_hosts] == [("127.0.0.1", 2376, True)]
    assert config.unix_sockets == ()
    assert config.exec_root == Path("/run/tidegate-gate")
    assert decide_gate_config({"exec-root": "/run/x"}, {}).exec_root == Path("/run/x")
    assert decide_gate_config({}, {"exec-root": "/run/y"}).exec_root == Path("/run/y")


@pytest.mark.parametrize(
    ("flags", "file", "message"),
    [
        ({"hosts": ["unix:///run/a.sock"]}, {}, "say --gate-socket /run/a.sock,role=ROLE"),
        ({}, {"bridge": "br0"}, "bridge: is a setting of an engine"),
        ({"hosts": ["tcp://0.0.0.0:2375"]}, {}, "has no TLS"),
    ],
)
def test_what_is_not_a_gates_is_refused_by_name(
    flags: dict[str, object], file: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        decide_gate_config(flags, file)


@pytest.mark.parametrize("text", ["tcp://1.2.3.4:2375", "/var/run/docker.sock", "unix://docker.sock", ""])
def test_an_upstream_is_a_unix_socket(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="upstream"):
        parse_upstream(text)


def test_two_gates_do_not_share_a_data_root(tmp_path: Path) -> None:
    lock_data_root(tmp_path / "data")
    with pytest.raises(ConflictError, match="data-root of its own"):
        lock_data_root(tmp_path / "data")
