"""daemon.json and dockerd's flags: what is accepted, and what each refusal says."""

from pathlib import Path

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.daemon.config import TCPHost, decide_config, parse_file, parse_hosts


def test_with_nothing_asked_the_engine_listens_on_its_socket_and_on_2376() -> None:
    config = decide_config({}, {})
    assert config.unix_sockets == (Path("/run/tidegate.sock"),)
    assert config.tcp_hosts == (TCPHost("127.0.0.1", 2376, tls=True),)
    assert config.verify_clients
    assert config.data_root == Path("/var/lib/tidegate")


def test_tls_without_hosts_means_localhost_2376() -> None:
    config = decide_config({"tls": True}, {})
    assert config.tcp_hosts == (TCPHost("localhost", 2376, tls=True),)
    assert not config.verify_clients


def test_naming_tlsverify_even_false_turns_tls_on() -> None:
    config = decide_config({"hosts": ["tcp://0.0.0.0:4000"]}, {"tlsverify": False})
    assert config.tcp_hosts[0].tls
    assert not config.verify_clients


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ('{"hots": []}', "unknown key 'hots'"),
        ('{"hosts": "unix:///x"}', "hosts: must be a list of strings"),
        ('{"tls": "yes"}', "tls: must be true or false"),
        ('{"tls": true, "tls": false}', "'tls' is given twice"),
        ('{"shutdown-timeout": true}', "must be a number"),
        ('{"data-root": 7}', "data-root: must be a string"),
    ],
)
def test_a_wrong_file_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match="daemon.json") as caught:
        parse_file(text, "daemon.json")
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("flags", "file", "complaint"),
    [
        ({"log-level": "info"}, {"log-level": "warn"}, "both as a flag and in the configuration file"),
        ({"log-level": "loud"}, {}, "is none of debug"),
        ({"hosts": ["tcp://127.0.0.1:2375"]}, {}, "insist with --allow-plaintext"),
        ({"hosts": ["tcp://0.0.0.0:2375"], "allow-plaintext": "loopback"}, {}, "--allow-plaintext=public"),
        ({"hosts": ["tcp://:2375"], "allow-plaintext": "loopback"}, {}, "--allow-plaintext=public"),
        ({"hosts": ["http://x"]}, {}, "neither unix:///PATH nor tcp://"),
        ({"hosts": ["tcp://x:99999"]}, {}, "no valid address and port"),
        ({"hosts": ["tcp://x:y"]}, {}, "no valid address and port"),
        ({"hosts": ["tcp://x:0"]}, {}, "from 1 to 65535"),
        ({"hosts": ["tcp://x:1/path"]}, {}, "and nothing more"),
        ({"hosts": ["unix:///a", "unix:///a"]}, {}, "given twice"),
        ({"allow-plaintext": "yes"}, {}, "neither loopback nor public"),
        ({"no-live-restore": True}, {"live-restore": True}, "contradicts"),
    ],
)
def test_what_cannot_be_meant_is_refused(flags: dict[str, object], file: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        decide_config(flags, file)
    assert complaint in caught.value.message


def test_plaintext_that_is_insisted_on_is_served() -> None:
    config = decide_config({"hosts": ["tcp://127.0.0.1:2375"], "allow-plaintext": "loopback"}, {})
    assert config.tcp_hosts == (TCPHost("127.0.0.1", 2375, tls=False),)
    assert decide_config({"hosts": ["tcp://0.0.0.0:2375"], "allow-plaintext": "public"}, {}).tcp_hosts


def test_a_known_setting_without_effect_is_a_warning_that_says_why() -> None:
    assert decide_config({}, {"storage-driver": "btrfs"}).warnings == (
        "storage-driver: known to Docker, without effect here: layers are kept in directories and mounted by overlayfs",
    )


def test_what_is_so_anyway_needs_no_warning() -> None:
    asked = {"storage-driver": "overlay2", "iptables": True, "ipv6": False, "features": {}, "storage-opts": []}
    assert decide_config({}, asked).warnings == ()
    assert len(decide_config({}, {"iptables": False, "ipv6": True}).warnings) == 2


def test_ipv6_hosts_and_default_ports() -> None:
    _, hosts = parse_hosts(["tcp://[::1]:2376", "tcp://[::1]", "tcp://10.0.0.1"], secured=True)
    assert [(host.address, host.port) for host in hosts] == [("::1", 2376), ("::1", 2376), ("10.0.0.1", 2376)]
