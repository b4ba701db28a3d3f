"""Which log options there are, what their values may be, and how the engine's defaults join in."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.logging.addresses import Address, fluentd_address, syslog_address
from tidegate.engine.logging.options import DRIVERS, check_log_options, merge_log_config
from tidegate.engine.logging.plans import (
    LocalLog,
    buffer_limit_bytes,
    log_warnings,
    plan_attributes,
    plan_local_log,
)
from tidegate.engine.logging.tags import TagFacts, render_tag
from tidegate.spec.host_config import LogConfig

GELF = {"gelf-address": "udp://graylog:12201"}
FACTS = TagFacts("c" * 64, "web", "sha256:" + "1" * 64, "nginx:1", "nginx -g x", "host")


def test_the_drivers() -> None:
    assert DRIVERS == ("fluentd", "gelf", "journald", "json-file", "local", "syslog")


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("json-file", {"max-size": "10m", "max-file": "3", "compress": "true", "labels": "a,b", "env-regex": "^(a|b)"}),
        ("json-file", {"max-size": "-1", "tag": "{{.ImageName}}/{{.Name}}", "mode": "non-blocking"}),
        ("local", {"max-size": "1.5g", "compress": "0", "mode": "non-blocking", "max-buffer-size": "4m"}),
        ("journald", {"tag": "x", "labels-regex": "^com", "cache-disabled": "true"}),
        ("syslog", {"syslog-address": "tcp+tls://[::1]:6514", "syslog-facility": "local3", "syslog-format": "rfc5424"}),
        ("syslog", {"syslog-tls-skip-verify": "", "syslog-tls-ca-cert": "/ca.pem", "syslog-facility": "23"}),
        ("gelf", {**GELF, "gelf-compression-type": "zlib", "gelf-compression-level": "-1"}),
        ("gelf", {"gelf-address": "tcp://h:1", "gelf-tcp-max-reconnect": "3", "gelf-tcp-reconnect-delay": "1"}),
        ("fluentd", {"fluentd-address": "h", "fluentd-async": "true", "fluentd-retry-wait": "500ms"}),
        ("fluentd", {"fluentd-buffer-limit": "8MB", "fluentd-max-retries": "5", "fluentd-request-ack": "1"}),
        ("none", {"anything": "goes"}),
    ],
)
def test_what_is_accepted(driver: str, options: dict[str, str]) -> None:
    check_log_options(driver, options)


@pytest.mark.parametrize(
    ("driver", "options", "message"),
    [
        ("splunk", {}, "logger: no log driver named 'splunk' is registered"),
        ("json-file", {"colour": "red"}, "unknown log opt 'colour' for json-file log driver"),
        ("json-file", {"cache-disabled": "true"}, "unknown log opt 'cache-disabled' for json-file log driver"),
        ("local", {"syslog-address": ""}, "unknown log opt 'syslog-address' for log driver local"),
        ("gelf", {**GELF, "max-size": "1m"}, 'unknown log opt "max-size" for gelf log driver'),
        ("syslog", {"max-size": "1m"}, "unknown log opt 'max-size' for syslog log driver"),
        ("journald", {"max-size": "1m"}, "unknown log opt 'max-size' for journald log driver"),
        ("fluentd", {"max-size": "1m"}, "unknown log opt 'max-size' for fluentd log driver"),
        ("local", {"mode": "eager"}, "logger: logging mode not supported: eager"),
        ("local", {"max-buffer-size": "1m"}, "only supported with 'mode=non-blocking'"),
        ("local", {"mode": "non-blocking", "max-buffer-size": "big"}, "error parsing option max-buffer-size"),
        ("json-file", {"max-size": "0"}, "max-size: must be more than nothing"),
        ("json-file", {"max-file": "0"}, "max-file: '0' is no number from 1"),
        ("json-file", {"compress": "yes"}, "compress: 'yes' is neither true nor false"),
        ("json-file", {"compress": "true", "max-file": "1"}, "compress cannot be true when max-file is less than 2"),
        ("json-file", {"max-size": "9" * 400}, "max-size: invalid size"),
        ("json-file", {"max-file": "9" * 5000}, "is no number from 1"),
        ("json-file", {"labels-regex": "a" * 1001}, "labels-regex: longer than 1000"),
        ("json-file", {"tag": "{{.Colour}}"}, "tag: {{.Colour}} is none of .Command"),
        ("json-file", {"tag": "{{.ID"}, "without its }}"),
        ("json-file", {"tag": "{{- .ID}}"}, "{{- .ID}} is none of"),
        ("syslog", {"syslog-address": "http://h"}, "unsupported scheme: 'http'"),
        ("syslog", {"syslog-address": "unix://h"}, "unix needs an absolute path"),
        ("syslog", {"syslog-address": "udp://h:99999"}, "invalid syslog-address"),
        ("syslog", {"syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-format": "rfc1"}, "invalid syslog format"),
        ("syslog", {"syslog-tls-key": "key.pem"}, "syslog-tls-key: 'key.pem' is not an absolute path"),
        ("gelf", {}, "gelf-address is a required parameter"),
        ("gelf", {"gelf-address": "h:1"}, "gelf-address should be in form proto://address, got h:1"),
        ("gelf", {"gelf-address": "http://h:1"}, "gelf: endpoint needs to be TCP or UDP"),
        ("gelf", {"gelf-address": "udp://h"}, "gelf: please provide gelf-address as proto://host:port"),
        (
            "gelf",
            {"gelf-address": "tcp://h:1", "gelf-compression-type": "gzip"},
            "compression is only supported on UDP",
        ),
        ("gelf", {**GELF, "gelf-tcp-max-reconnect": "1"}, '"gelf-tcp-max-reconnect" is only valid for TCP'),
        ("gelf", {**GELF, "gelf-compression-level": "10"}, 'unknown value "10" for log opt "gelf-compression-level"'),
        ("gelf", {"gelf-address": "tcp://h:1", "gelf-tcp-max-reconnect": "-1"}, "must be a positive integer"),
        ("fluentd", {"fluentd-address": "udp://h"}, "'udp' is none of tcp, tls and unix"),
        ("fluentd", {"fluentd-retry-wait": "long"}, 'invalid duration "long"'),
        ("fluentd", {"fluentd-async-reconnect-interval": "11s"}, "must be between 100ms and 10s"),
        ("fluentd", {"fluentd-max-retries": "-1"}, "fluentd-max-retries: '-1' is no number"),
    ],
)
def test_what_is_refused(driver: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        check_log_options(driver, options)
    assert message in refused.value.message


def test_addresses() -> None:
    assert syslog_address("", "") == Address("unixgram", path="/dev/log")
    assert syslog_address("", "tcp://h") == Address("tcp", "h", 514)
    assert fluentd_address("", "") == Address("tcp", "127.0.0.1", 24224)
    assert fluentd_address("", "h:1") == Address("tcp", "h", 1)
    assert str(fluentd_address("", "tls://[::1]")) == "tls://[::1]:24224"
    assert str(fluentd_address("", "unix:///run/f.sock")) == "unix:///run/f.sock"


def test_the_engines_options_are_for_its_own_driver_and_its_cache_for_any() -> None:
    ours = LogConfig("syslog", {"tag": "x", "cache-max-size": "1m"})
    assert merge_log_config(LogConfig(), ours) == ours
    assert merge_log_config(LogConfig("syslog", {"tag": "y"}), ours).config == {"tag": "y", "cache-max-size": "1m"}
    assert merge_log_config(LogConfig("journald"), ours).config == {"cache-max-size": "1m"}
    assert merge_log_config(LogConfig("json-file"), ours).config == {}
    assert merge_log_config(LogConfig(), LogConfig()).type == "json-file"


def test_the_local_log() -> None:
    assert plan_local_log(LogConfig("none")) is None
    assert plan_local_log(LogConfig("json-file")) == LocalLog(20_000_000, 5, compress=False)
    assert plan_local_log(LogConfig("local", {"max-size": "-1", "max-file": "1"})) == LocalLog(-1, 1, compress=False)
    cached = LogConfig("syslog", {"cache-max-size": "1m", "cache-max-file": "2", "cache-disabled": "true"})
    assert plan_local_log(cached) == LocalLog(1_000_000, 2, compress=True, is_readable=False)


def test_attributes() -> None:
    def matching(pattern: str, names: object) -> list[str]:
        return [name for name in names if name.startswith(pattern)]  # type: ignore[attr-defined]

    options = {"labels": "a, b,none", "labels-regex": "com.", "env": "HOME", "env-regex": "X"}
    labels = {"a": "1", "b": "2", "c": "3", "com.x": "4"}
    found = plan_attributes(options, labels, ["HOME=/", "X=a=b", "Y=1", "UNSET"], matching)
    assert found == {"a": "1", "b": "2", "com.x": "4", "HOME": "/", "X": "a=b"}


def test_tags() -> None:
    template = "{{.ID}} {{ .FullID }} {{.Name}} {{.ImageID}} {{.ImageName}} {{.Command}} {{.DaemonName}} {{.Hostname}}"
    assert render_tag(template, FACTS) == f"cccccccccccc {'c' * 64} web sha256:11111 nginx:1 nginx -g x docker host"
    assert render_tag("{{.ImageFullID}}}}", FACTS) == f"sha256:{'1' * 64}}}}}"


def test_how_much_may_wait_for_a_remote() -> None:
    assert buffer_limit_bytes(LogConfig("syslog")) is None
    assert buffer_limit_bytes(LogConfig("syslog", {"mode": "non-blocking"})) == 1 << 20
    assert buffer_limit_bytes(LogConfig("syslog", {"mode": "non-blocking", "max-buffer-size": "2k"})) == 2048
    assert buffer_limit_bytes(LogConfig("fluentd", {"fluentd-buffer-limit": "8k"})) == 8192


def test_a_client_that_asks_to_wait_for_a_remote_is_told_that_none_does() -> None:
    assert log_warnings(LogConfig("json-file", {"mode": "blocking"})) == ()
    warnings = log_warnings(LogConfig("fluentd", {"mode": "blocking", "fluentd-async": "false"}))
    assert [warning.split(": ")[1] for warning in warnings] == ["mode=blocking", "fluentd-async=false"]
