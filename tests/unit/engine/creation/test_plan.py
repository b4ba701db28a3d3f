"""What becomes of a create request: merged, worked out, or refused by name."""

import json

import pytest

from tidegate.base.errors import InvalidParameterError, TidegateError
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.creation.plan import Defaults, SourceImage, parse_signal, plan_new_container
from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest

IMAGE = {
    "Env": ["PATH=/bin", "A=1"],
    "Cmd": ["sh"],
    "Labels": {"from": "image"},
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/data": {}},
    "WorkingDir": "/srv",
    "User": "app",
}


PLAIN = Defaults(cgroup_namespace="private")


def plan(image: dict[str, object] | None = None, defaults: Defaults = PLAIN, **document: object) -> NewContainer:
    request = decode(CreateRequest, json.dumps(document).encode())
    source = SourceImage("img", "sha256:1", ("c1",), IMAGE if image is None else image)
    return plan_new_container("n", source, request, defaults)


def merged(new: NewContainer) -> CreateRequest:
    return decode(CreateRequest, new.document)


def test_the_image_fills_what_the_client_left_out() -> None:
    document = merged(plan(Env=["A=2", "B=3"], Labels={"own": "yes"}))
    assert document.env == ("PATH=/bin", "A=2", "B=3")
    assert document.cmd == ("sh",)
    assert document.labels == {"from": "image", "own": "yes"}
    assert (document.working_dir, document.user) == ("/srv", "app")


def test_an_image_cannot_say_who_owns_the_containers_made_of_it() -> None:
    image = {**IMAGE, "Labels": {"tidegate.owner": "eve", "tidegateway": "x"}}
    assert merged(plan(image)).labels == {"tidegateway": "x"}
    assert merged(plan(image, Labels={"tidegate.owner": "alice"})).labels["tidegate.owner"] == "alice"


def test_the_engine_s_defaults_are_written_down() -> None:
    assert merged(plan()).host_config.log_config.type == "json-file"
    assert merged(plan(HostConfig={"LogConfig": {"Type": "none"}})).host_config.log_config.type == "none"
    assert merged(plan()).host_config.cgroupns_mode == "private"
    assert merged(plan(HostConfig={"CgroupnsMode": "host"})).host_config.cgroupns_mode == "host"


def test_what_the_administrator_set_is_for_containers_that_do_not_say() -> None:
    defaults = Defaults(
        dns=("1.1.1.1",),
        dns_options=("ndots:1",),
        dns_search=("corp",),
        init=True,
        security_options=("no-new-privileges",),
    )
    plain = merged(plan(defaults=defaults)).host_config
    assert (plain.dns, plain.dns_options, plain.dns_search) == (("1.1.1.1",), ("ndots:1",), ("corp",))
    assert (plain.init, plain.security_opt) == (True, ("no-new-privileges",))
    said = {"Dns": ["9.9.9.9"], "DnsSearch": ["."], "Init": False, "SecurityOpt": ["no-new-privileges:false"]}
    own = merged(plan(defaults=defaults, HostConfig=said)).host_config
    assert (own.dns, own.dns_search, own.init) == (("9.9.9.9",), (".",), False)
    assert own.security_opt == ("no-new-privileges:false",)
    assert merged(plan()).host_config.init is None


def test_ports_are_published_on_the_address_that_the_administrator_set() -> None:
    defaults = Defaults(host_ip="127.0.0.1")
    bindings = {"80/tcp": [{"HostPort": "8080"}], "81/tcp": [{"HostIp": "10.0.0.1", "HostPort": "8081"}]}
    asked = {"PortBindings": bindings, "PublishAllPorts": True}
    ports = plan(defaults=defaults, HostConfig=asked, ExposedPorts={"82/tcp": {}}).settings.ports
    assert sorted((port.container_port, port.host_ip) for port in ports) == [
        (80, "127.0.0.1"), (81, "10.0.0.1"), (82, "127.0.0.1"),
    ]  # fmt: skip


def test_an_entrypoint_of_the_client_drops_the_image_s_command() -> None:
    document = merged(plan({"Cmd": ["x"], "Entrypoint": ["y"]}, Entrypoint=["mine"]))
    assert (document.entrypoint, document.cmd) == (("mine",), None)
    document = merged(plan({"Cmd": ["x"], "Entrypoint": ["y"]}, Cmd=["z"]))
    assert (document.entrypoint, document.cmd) == (("y",), ("z",))


def test_ports_volumes_and_rules_are_worked_out() -> None:
    new = plan(
        StopSignal="SIGINT",
        StopTimeout=3,
        HostConfig={
            "PortBindings": {"53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}]},
            "PublishAllPorts": True,
            "Binds": ["cache:/cache:nocopy", "/host:/mnt:ro"],
            "Mounts": [{"Type": "volume", "Target": "/anon"}],
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
        },
    )
    ports = [(port.container_port, port.protocol, port.host_ip, port.host_port) for port in new.settings.ports]
    assert ports == [(53, "udp", "127.0.0.1", 5353), (80, "tcp", "0.0.0.0", 0)]
    uses = [(use.container_path, use.copy_up, use.anonymous) for use in new.settings.volumes]
    assert uses == [("/cache", False, False), ("/anon", True, True), ("/data", True, True)]
    assert new.settings.volumes[0].name == "cache"
    assert new.settings.stop_timeout_s == 3
    assert (new.rules.stop_signal, new.rules.restart.name, new.rules.restart.maximum_retry_count) == (
        2,
        "on-failure",
        2,
    )


def test_what_an_endpoint_asks_is_done_or_refused() -> None:
    def endpoint(**settings: object) -> NewContainer:
        return plan(NetworkingConfig={"EndpointsConfig": {"bridge": settings}})

    assert endpoint(MacAddress="02:42:AC:11:00:09").settings.mac_address == "02:42:ac:11:00:09"
    assert plan(MacAddress="02:42:ac:11:00:09").settings.mac_address == "02:42:ac:11:00:09"
    assert plan(NetworkingConfig={"EndpointsConfig": {"bridge": None}}).settings.mac_address is None
    for settings, complaint in [
        (
            {"IPAMConfig": {"IPv4Address": "10.0.0.1"}},
            "user specified IP address is supported on user defined networks",
        ),
        ({"Aliases": ["web"]}, "network-scoped aliases are only supported for user-defined networks"),
        ({"Links": ["a:b"]}, "EndpointsConfig.bridge.Links"),
        ({"DriverOpts": {"a": "b"}}, "EndpointsConfig.bridge.DriverOpts"),
    ]:
        with pytest.raises(TidegateError, match=complaint):
            endpoint(**settings)
    with pytest.raises(InvalidParameterError, match="conflicting MAC addresses"):
        plan(MacAddress="02:42:ac:11:00:09", NetworkingConfig={"EndpointsConfig": {"bridge": {"MacAddress": "02::1"}}})


def test_a_second_network_is_refused() -> None:
    for mode, network, complaint in [
        ("", "other", "network other not found"),
        ("host", "bridge", "EndpointsConfig.bridge: the container is on the network host"),
    ]:
        with pytest.raises(InvalidParameterError, match=complaint):
            plan(HostConfig={"NetworkMode": mode}, NetworkingConfig={"EndpointsConfig": {network: None}})
    assert plan(HostConfig={"NetworkMode": "default"}, NetworkingConfig={"EndpointsConfig": {"bridge": {}}})


def test_a_container_without_network_is_isolated() -> None:
    assert plan(NetworkDisabled=True).settings.network == "none"


def test_a_range_of_host_ports_is_kept_as_one() -> None:
    def ports(**host: object) -> list[tuple[int, int, int]]:
        found = plan({"ExposedPorts": {"80": {}, "81/tcp": {}}, "Cmd": ["x"]}, HostConfig=host).settings.ports
        return [(port.container_port, port.host_port, port.last_host_port) for port in found]

    assert ports(PortBindings={"80/tcp": [{"HostPort": "8000-8010"}]}) == [(80, 8000, 8010)]
    assert ports(PortBindings={"80": [{"HostPort": "8000-8000"}]}) == [(80, 8000, 0)]
    assert ports(PortBindings={"80": [{"HostPort": "0"}]}) == [(80, 0, 0)]
    assert ports(PortBindings={"80": [{"HostPort": "8000"}]}, PublishAllPorts=True) == [(80, 8000, 0), (81, 0, 0)]


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        ({"RestartPolicy": {"Name": "often"}}, "unknown policy 'often'"),
        ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 1}}, "only be used with 'on-failure'"),
        ({"RestartPolicy": {"Name": "always"}, "AutoRemove": True}, "AutoRemove"),
        ({"Binds": ["/a"]}, "invalid volume specification"),
        ({"Binds": ["/a:/b:sometimes"]}, "invalid mode"),
        ({"Binds": ["/a:/"]}, "invalid volume specification"),
        ({"PortBindings": {"99999": [{}]}}, "invalid port specification"),
        ({"PortBindings": {"80": [{"HostPort": "9-1"}]}}, "invalid port specification: '9-1'"),
        ({"PortBindings": {"80": [{"HostPort": "1-70000"}]}}, "invalid port specification: '1-70000'"),
        ({"PortBindings": {"80": [{"HostPort": "x"}]}}, "invalid port specification: 'x'"),
        ({"PortBindings": {"80": [{"HostIp": "1.2.3"}]}}, "invalid IP address: 1.2.3"),
        ({"PortBindings": {"80": [{"HostIp": "fe80::1%eth0"}]}}, "an address with a zone is not supported"),
        ({"Memory": 1024}, "6MB"),
        ({"Memory": 1 << 30, "MemorySwap": 1 << 20}, "memoryswap"),
        ({"MemorySwap": 1 << 30}, "always set the Memory limit"),
        ({"Memory": 1 << 25, "MemoryReservation": 1 << 30}, "less than memory reservation limit"),
        ({"MemorySwappiness": 101}, "valid memory swappiness range is 0-100"),
        ({"NanoCpus": 5 * 10**8, "CpuPeriod": 10**5}, "Nano CPUs and CPU Period"),
        ({"CpuQuota": 999}, "CPU cfs quota"),
        ({"CpuPeriod": 999}, "CPU cfs period"),
        ({"OomScoreAdj": 1001}, "range for oom score adj"),
        ({"ShmSize": -1}, "SHM size"),
        ({"CpuCount": 2}, "HostConfig.CpuCount has a meaning on Windows only"),
        ({"IOMaximumIOps": 2}, "HostConfig.IOMaximumIOps"),
        ({"Isolation": "hyperv"}, 'invalid isolation "hyperv" on linux'),
        ({"NetworkMode": "mine"}, "network mine not found"),
        ({"Devices": [{"PathOnHost": "null"}]}, "PathOnHost: 'null' is not an absolute path"),
        ({"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "x"}]}, "PathInContainer: 'x'"),
        ({"Devices": [{"PathOnHost": "/dev/null", "CgroupPermissions": "rx"}]}, "invalid device mode: rx"),
        ({"DeviceCgroupRules": ["c 1:3"]}, "invalid device cgroup rule format: 'c 1:3'"),
        ({"BlkioWeight": 5}, "from 10 to 1000"),
        ({"BlkioWeightDevice": [{"Path": "/dev/sda", "Weight": 1001}]}, "from 10 to 1000"),
        ({"BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": -1}]}, "cannot be negative"),
        ({"CpuRealtimePeriod": 10, "CpuRealtimeRuntime": 11}, "cannot be higher than cpu real-time period"),
        ({"PidMode": "private"}, "invalid PID mode: private"),
        ({"IpcMode": "container:"}, "invalid IPC mode: container:"),
        ({"UTSMode": "private"}, "invalid UTS mode: private"),
        ({"CgroupnsMode": "mine"}, "invalid cgroup namespace mode: mine"),
        ({"LogConfig": {"Type": "splunk"}}, "no log driver named 'splunk'"),
        ({"MaskedPaths": ["proc/x"]}, "HostConfig.MaskedPaths: 'proc/x' is not an absolute path"),
        ({"VolumeDriver": "nfs"}, 'error looking up volume plugin nfs: plugin "nfs" not found'),
        (
            {"Mounts": [{"Type": "volume", "Target": "/x", "VolumeOptions": {"DriverConfig": {"Name": "nfs"}}}]},
            'volume plugin nfs: plugin "nfs" not found',
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(host: dict[str, object], complaint: str) -> None:
    with pytest.raises(TidegateError) as caught:
        plan(HostConfig=host)
    assert complaint in caught.value.message


def test_a_missing_network_is_not_mistaken_for_a_missing_image() -> None:
    with pytest.raises(InvalidParameterError):
        plan(HostConfig={"NetworkMode": "mine"})


def test_without_any_command_there_is_nothing_to_run() -> None:
    with pytest.raises(TidegateError, match="no command specified"):
        plan({})


@pytest.mark.parametrize(("text", "number"), [("TERM", 15), ("sigkill", 9), ("1", 1), ("SIGRTMIN", 34)])
def test_signals_by_name_and_number(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "99", "SIGNOPE", "-1"])
def test_unknown_signals_are_refused(text: str) -> None:
    with pytest.raises(TidegateError, match="Invalid signal"):
        parse_signal(text)
