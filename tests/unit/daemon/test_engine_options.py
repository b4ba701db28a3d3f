"""Settings of the engine that are more than one value."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.daemon.engine_options import (
    parse_bridge_rules,
    parse_container_defaults,
    parse_host_gateway,
    parse_labels,
    parse_proxies,
    parse_transfers,
)
from tidegate.daemon.process_settings import BridgeRules, ContainerDefaults, Transfers
from tidegate.engine.isolation.runtimes import RuntimeCommand
from tidegate.spec.container import Ulimit


def test_without_settings_all_is_as_dockerd_has_it() -> None:
    assert parse_bridge_rules({}) == BridgeRules(1500, True, True, True, None, ())
    assert parse_transfers({}, {}) == Transfers(3, 5, {})
    assert parse_container_defaults({}) == ContainerDefaults()
    assert parse_bridge_rules({"mtu": 0}).mtu == 1500


def test_labels_stand_once() -> None:
    assert parse_labels({"labels": ["a=1", "b=x=y", "a=1"]}) == ("a=1", "b=x=y")


def test_address_pools_from_the_file_and_from_flags() -> None:
    file = parse_bridge_rules({"default-address-pools": [{"base": "172.30.0.0/16", "size": 24}]})
    flag = parse_bridge_rules({"default-address-pools": ["base=172.30.0.0/16,size=24"]})
    assert file.pools == flag.pools == (("172.30.0.0/16", 24),)


def test_proxies_of_settings_come_before_those_of_the_environment() -> None:
    environment = {"HTTP_PROXY": "http://env:1", "https_proxy": "http://env:2", "NO_PROXY": "env"}
    values = {"proxies": {"http-proxy": "http://file:1"}, "no-proxy": "flag"}
    assert parse_proxies(values, environment) == {"http": "http://file:1", "https": "http://env:2", "no": "flag"}


def test_the_former_name_of_the_gateway_is_understood() -> None:
    assert parse_host_gateway({"host-gateway-ip": "10.0.0.1"}) == "10.0.0.1"
    assert parse_host_gateway({"host-gateway-ips": ["10.0.0.1"]}) == "10.0.0.1"


@pytest.mark.parametrize(
    ("parse", "values", "complaint"),
    [
        (parse_labels, {"labels": ["a"]}, "'a' is not KEY=VALUE"),
        (parse_labels, {"labels": ["a=1", "a=2"]}, "conflict labels for a=1 and a=2"),
        (parse_bridge_rules, {"mtu": 9}, "mtu: 9 is not from 68"),
        (parse_bridge_rules, {"fixed-cidr": "10.0.0.1/16"}, "fixed-cidr: '10.0.0.1/16' is no IPv4 network"),
        (parse_bridge_rules, {"default-address-pools": ["10.0.0.0/8"]}, "is not base=NETWORK,size=PREFIX"),
        (parse_bridge_rules, {"default-address-pools": [{"base": "10.0.0.0/8"}]}, "is not base=NETWORK,size=PREFIX"),
        (parse_bridge_rules, {"default-address-pools": ["base=10.0.0.0/8,size=4"]}, "size 4 is not from 8 to 30"),
        (parse_bridge_rules, {"default-address-pools": ["base=10.0.0.0/8,size=30"]}, "has more than 65536 subnets"),
        (parse_container_defaults, {"dns": ["one.one"]}, "dns: 'one.one' is no IP address"),
        (parse_container_defaults, {"ip": "eth0"}, "ip: 'eth0' is no IP address"),
        (parse_host_gateway, {"host-gateway-ips": ["::1"]}, "containers have no other"),
        (parse_host_gateway, {"host-gateway-ips": ["10.0.0.1"], "host-gateway-ip": "10.0.0.2"}, "keep one of them"),
        (lambda v: parse_proxies(v, {}), {"proxies": {"ftp-proxy": "x"}}, "unknown key 'ftp-proxy'"),
        (lambda v: parse_proxies(v, {}), {"proxies": {"no-proxy": 1}}, "no-proxy: must be a string"),
        (lambda v: parse_proxies(v, {}), {"proxies": {"no-proxy": "a"}, "no-proxy": "b"}, "given both as a flag"),
        (lambda v: parse_transfers(v, {}), {"max-download-attempts": -1}, "max-download-attempts: -1"),
    ],
)
def test_what_cannot_be_meant_is_named(
    parse: Callable[[Mapping[str, Any]], object], values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        parse(values)
    assert complaint in caught.value.message


def test_what_containers_get_that_do_not_say() -> None:
    file = {
        "cgroup-parent": "/batch/night",
        "default-ipc-mode": "shareable",
        "default-shm-size": "16M",
        "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}, "core": {"Soft": 0, "Hard": 0}},
    }
    found = parse_container_defaults(file)
    assert (found.cgroup_parent, found.ipc_mode, found.shm_size_bytes) == ("batch/night", "shareable", 16 << 20)
    limits = (Ulimit(name="nofile", soft=1, hard=2), Ulimit(name="core", soft=0, hard=0))
    assert found.ulimits == limits
    assert parse_container_defaults({"default-ulimits": ["nofile=1:2", "core=0"]}).ulimits == limits


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"cgroup-parent": "/a/../b"}, "cgroup-parent: invalid CgroupParent"),
        ({"default-ipc-mode": "host"}, "default-ipc-mode: 'host' is neither"),
        ({"default-shm-size": "much"}, "default-shm-size: invalid size"),
        ({"default-ulimits": {"files": {"Soft": 1, "Hard": 1}}}, "default-ulimits: invalid ulimit type: files"),
        ({"default-ulimits": {"nofile": 7}}, "default-ulimits: 'nofile' is no object with Soft and Hard"),
        ({"default-ulimits": {"nofile": {"Soft": "x"}}}, "default-ulimits: 'nofile' is no object"),
        ({"default-ulimits": {"nofile": {"Name": "core"}}}, "default-ulimits: 'nofile' is named 'core' inside"),
        ({"default-ulimits": ["nofile"]}, "default-ulimits: invalid ulimit argument"),
        ({"runtimes": {"kata": {"runtimeType": "io.containerd.kata.v2"}}}, "runtimes: kata: path and runtimeArgs"),
        ({"runtimes": {"x": {"path": 7}}}, "runtimes: x: Expected `str`"),
        ({"runtimes": ["x"]}, "runtimes: 'x' has no name or no path"),
        ({"seccomp-profile": "profile.json"}, "seccomp-profile: 'profile.json' is no absolute path"),
        ({"seccomp-profile": "/nope"}, "seccomp-profile: .*No such file"),
        ({"init-path": "tini"}, "init-path: 'tini' is no absolute path"),
        ({"cdi-spec-dirs": ["cdi"]}, "cdi-spec-dirs: 'cdi' is no absolute path"),
        ({"default-runtime": "kata"}, "default-runtime: 'kata' is none of runtimes"),
    ],
)
def test_wrong_defaults_of_containers_are_named(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        parse_container_defaults(values)


def test_runtimes_from_the_file_and_from_flags() -> None:
    file = {"runtimes": {"x": {"path": "/bin/x", "runtimeArgs": ["--y"]}}, "default-runtime": "x"}
    found = parse_container_defaults(file)
    assert (found.runtimes, found.default_runtime) == ({"x": RuntimeCommand("/bin/x", ("--y",))}, "x")
    assert parse_container_defaults({"runtimes": ["x=/bin/x"]}).runtimes == {"x": RuntimeCommand("/bin/x")}


def test_a_seccomp_profile_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    found = parse_container_defaults({"seccomp-profile": str(path), "no-new-privileges": True})
    assert (found.seccomp_profile, found.security_options) == (path.read_text(), ("no-new-privileges",))
    assert parse_container_defaults({"seccomp-profile": "builtin"}) == ContainerDefaults()
    assert parse_container_defaults({"seccomp-profile": "unconfined"}).security_options == ("seccomp=unconfined",)
    path.write_text("{}")
    with pytest.raises(InvalidParameterError, match="seccomp-profile: .*profile.json: .*defaultAction is missing"):
        parse_container_defaults({"seccomp-profile": str(path)})
