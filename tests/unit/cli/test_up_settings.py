"""What the engine process is told of a configuration."""

import re
from pathlib import Path

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.base.sizes import parse_size
from tidegate.cli.up_settings import (
    audit_settings,
    decoy_settings,
    engine_settings,
    gate_settings,
    log_format,
    log_level,
    parse_bip,
    parse_cgroup_namespace,
    parse_decoy,
    parse_gate_workers,
    parse_group,
    parse_log_defaults,
    parse_metrics_address,
    parse_ocsp,
    registrar_settings,
)
from tidegate.daemon.config import decide_config
from tidegate.daemon.process_settings import decode_settings, encode_settings
from tidegate.gate.audit.start import parse_audit_kind
from tidegate.gate.process import Listener
from tidegate.registrar.ocsp_checks import OCSPSettings
from tidegate.spec.host_config import LogConfig


def test_the_engine_reads_what_it_is_told() -> None:
    settings = engine_settings(decide_config({"hosts": ["unix:///a"], "tlsverify": True}, {}), Path("/g"), None)
    assert decode_settings(encode_settings(settings)) == settings
    assert (settings.sockets, settings.live_restore) == ((Path("/a"),), True)


def test_figures_are_served_on_loopback_unless_one_insists() -> None:
    assert parse_metrics_address(decide_config({}, {})) is None
    config = decide_config({"hosts": ["unix:///a"], "metrics-addr": "127.0.0.1:9323"}, {})
    gate = gate_settings(config)
    assert gate is not None and gate.metrics == Listener("127.0.0.1", 9323, False)
    assert engine_settings(config, Path("/g/gate.sock"), None).figures_socket == Path("/g/figures.sock")
    with pytest.raises(InvalidParameterError, match="metrics-addr: 0.0.0.0:9323 is open beyond this machine"):
        parse_metrics_address(decide_config({"metrics-addr": "0.0.0.0:9323"}, {}))
    insisted = decide_config({"metrics-addr": "0.0.0.0:9323", "allow-plaintext": "public"}, {})
    assert parse_metrics_address(insisted) == Listener("0.0.0.0", 9323, False)


def test_log_options_from_flags_and_from_the_file() -> None:
    expected = LogConfig("json-file", {"max-size": "5m", "max-file": "3"})
    assert parse_log_defaults({"log-opts": ["max-size=5m", "max-file=3"]}) == expected
    assert parse_log_defaults({"log-opts": {"max-size": "5m", "max-file": "3"}}) == expected
    assert parse_log_defaults({}) == LogConfig("json-file")
    assert parse_log_defaults({"log-driver": "none"}).type == "none"
    assert parse_log_defaults({"log-driver": "local", "log-opts": ["tag={{.Name}}=x"]}).config == {"tag": "{{.Name}}=x"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"log-driver": "splunk"}, "no log driver named 'splunk'"),
        ({"log-opts": ["colour=red"]}, "unknown log opt 'colour' for json-file"),
        ({"log-opts": ["max-file=0"]}, "max-file: '0' is no number from 1"),
        ({"log-opts": ["max-size=big"]}, "max-size: invalid size: 'big'"),
        ({"log-opts": {"max-file": 3}}, 'max-file: must be a string, as "3"'),
    ],
)
def test_other_log_options_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        parse_log_defaults(values)


def test_the_cgroup_namespace_of_containers_that_do_not_say() -> None:
    asked = [{}, {"default-cgroupns-mode": "private"}, {"default-cgroupns-mode": "host"}]
    told = [engine_settings(decide_config(flags, {}), Path("/g"), None).cgroup_namespace for flags in asked]
    assert told == [None, "private", "host"]
    with pytest.raises(InvalidParameterError, match="default-cgroupns-mode: 'none'"):
        parse_cgroup_namespace("none")


def test_the_bridge_s_address_is_the_first_of_its_network() -> None:
    assert parse_bip("10.9.0.1/24") == "10.9.0.0/24"
    for wrong in ("10.9.0.2/24", "10.9.0.1/33", "bridge"):
        with pytest.raises(InvalidParameterError, match="bip"):
            parse_bip(wrong)


def test_groups_by_name_and_number() -> None:
    assert (parse_group("root"), parse_group("12345")) == (0, 12345)
    with pytest.raises(InvalidParameterError, match="group"):
        parse_group("no-such-group")


def test_one_gate_worker_for_two_processors_unless_told() -> None:
    assert [parse_gate_workers(None, processors) for processors in (1, 2, 3, 4, 8, 64)] == [1, 1, 1, 2, 4, 4]
    assert parse_gate_workers(3, 1) == 3
    for wrong in (0, 65):
        with pytest.raises(InvalidParameterError, match="gate-workers: "):
            parse_gate_workers(wrong, 2)


def test_debug_is_a_level() -> None:
    assert (log_format({"log-format": "json"}), log_format({})) == ("json", "text")
    with pytest.raises(InvalidParameterError, match="log-format: 'xml' is none of text, json"):
        log_format({"log-format": "xml"})
    assert (log_level({"debug": True}), log_level({"log-level": "warn"}), log_level({})) == ("debug", "warn", "info")


def test_sizes_are_in_powers_of_a_thousand() -> None:
    assert [parse_size(text) for text in ("7", "7b", "7k", "7KB", "7.5m", "7G")] == [
        7, 7, 7000, 7000, 7_500_000, 7_000_000_000,
    ]  # fmt: skip
    for wrong in ("", "m", "7p", "-7", "7."):
        with pytest.raises(InvalidParameterError):
            parse_size(wrong)


def test_the_audit_has_a_kind() -> None:
    assert parse_audit_kind("journald") == "journald"
    with pytest.raises(InvalidParameterError, match="audit: 'stone' is none of file, journald, syslog"):
        parse_audit_kind("stone")


@pytest.mark.parametrize(
    ("text", "found"),
    [("0.0.0.0:2375", ("0.0.0.0", 2375)), ("tcp://10.0.0.1", ("10.0.0.1", 2375)), ("[::]:4243", ("::", 4243))],
)
def test_the_decoy_s_address(text: str, found: tuple[str, int]) -> None:
    assert parse_decoy(text) == found


@pytest.mark.parametrize("text", ["", "a:b", "a/b", ":2375", "0.0.0.0:2376"])
def test_addresses_that_no_decoy_has(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="decoy: "):
        parse_decoy(text)


def test_a_decoy_has_a_chain_of_its_own_and_needs_a_gate() -> None:
    config = decide_config({"hosts": ["tcp://127.0.0.1:2376"], "decoy": "127.0.0.1"}, {})
    settings = decoy_settings(config, (1, 1))
    assert settings is not None
    assert (settings.audit.writer, settings.root.name) == ("decoy", "decoy")
    with pytest.raises(InvalidParameterError, match="needs a gate"):
        gate_settings(decide_config({"hosts": ["unix:///a"], "decoy": "127.0.0.1"}, {}))
    assert decoy_settings(decide_config({}, {}), (1, 1)) is None


def test_how_much_of_the_audit_is_kept() -> None:
    assert audit_settings(decide_config({"audit-files": 5}, {})).keep_files == 5
    assert audit_settings(decide_config({}, {})).keep_files == 0
    for flags, complaint in (({"audit-files": 1}, "neither 0"), ({"audit-files": 5, "audit": "syslog"}, "none with")):
        with pytest.raises(InvalidParameterError, match=complaint):
            audit_settings(decide_config(flags, {}))


def test_how_certificates_of_another_ca_are_checked() -> None:
    flags = {"tlsverify": True, "tlscacert": "ca.pem", "tls-crls": ["a.crl", "/b.crl"], "tls-ocsp": "http://r/"}
    config = decide_config(flags, {})
    gate = gate_settings(config)
    assert gate is not None
    told = registrar_settings(config, gate, lambda _: (Path("/ca"), Path("/cert"), Path("/key")))
    assert told.crls == (Path.cwd() / "a.crl", Path("/b.crl"))
    assert told.ocsp == OCSPSettings("http://r/", admit_unchecked=False)
    assert parse_ocsp({"tls-ocsp": "from-certificate", "tls-ocsp-unreachable": "admit"}) == OCSPSettings(
        "from-certificate", admit_unchecked=True
    )


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"tls-crls": ["a"]}, "tls-crls: is for certificates of another CA"),
        ({"tls-ocsp": "http://r/"}, "tls-ocsp: is for certificates of another CA"),
        ({"tlscacert": "ca", "tls-ocsp": "ldap://r/"}, "neither an http URL nor from-certificate"),
        ({"tlscacert": "ca", "tls-ocsp": "http://r/", "tls-ocsp-unreachable": "maybe"}, "neither refuse nor admit"),
        ({"tlscacert": "ca", "tls-ocsp-unreachable": "admit"}, "says nothing without tls-ocsp"),
    ],
)
def test_wrong_checks_are_refused_by_name(values: dict[str, object], complaint: str) -> None:
    config = decide_config({"tlsverify": True, **values}, {})
    gate = gate_settings(config)
    assert gate is not None
    with pytest.raises(InvalidParameterError, match=complaint):
        registrar_settings(config, gate, lambda _: (Path("/ca"), Path("/cert"), Path("/key")))


def test_tls_is_modern_unless_said_otherwise() -> None:
    modern, chosen = (
        gate_settings(decide_config({"hosts": ["tcp://127.0.0.1:2376"], **more}, {}))
        for more in ({}, {"tls-profile": "intermediate"})
    )
    assert modern is not None and chosen is not None
    assert (modern.tls_profile, chosen.tls_profile) == ("modern", "intermediate")
    with pytest.raises(InvalidParameterError, match="tls-profile: 'old' is none of modern, intermediate"):
        gate_settings(decide_config({"hosts": ["tcp://127.0.0.1:2376"], "tls-profile": "old"}, {}))
