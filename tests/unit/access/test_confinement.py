"""What a developer's documents may ask for, and what not: one row for each way out that is known."""

import pytest
from tests.unit.access.asking import Tree, ask, create

from tidegate.access.asked import Usage
from tidegate.access.policy import Policy
from tidegate.access.roles import BUILT_IN_ROLES, Quota, Role, Scope
from tidegate.access.verdict import ObjectKind, ObjectReference

CONFINED = ("developer", "ci")

WAYS_OUT_OF_A_CREATE: list[tuple[str, Tree]] = [
    ("HostConfig.Binds '/' read-write", {"Binds": ["/:/mnt"]}),
    ("HostConfig.Binds '/'", {"Binds": ["/:/mnt:ro"]}),
    ("HostConfig.Binds '/'", {"Binds": ["//:/mnt"]}),
    ("HostConfig.Binds '/'", {"Binds": ["/srv/..:/mnt"]}),
    ("HostConfig.Binds '/etc'", {"Binds": ["/etc/localtime/../:/mnt:ro"]}),
    ("HostConfig.Binds '/etc/localtime'", {"Binds": ["/etc/localtime:/etc/localtime"]}),
    ("HostConfig.Binds '/var/run/docker.sock'", {"Binds": ["/var/run/docker.sock:/s"]}),
    ("./etc", {"Binds": ["./etc:/mnt"]}),
    ("../../etc", {"Binds": ["../../etc:/mnt"]}),
    ("~", {"Binds": ["~:/mnt"]}),
    ("\\\\.\\pipe\\docker", {"Binds": ["\\\\.\\pipe\\docker:/mnt"]}),
    ("shared", {"Binds": ["/etc/localtime:/x:ro,shared"]}),
    ("upperdir", {"Binds": ["/etc/localtime:/x:ro,upperdir=/"]}),
    ("Binds option", {"Binds": ["/etc/localtime:/x:ro,O"]}),
    ("option", {"Binds": ["data:/x:ro:rw"]}),
    ("HostConfig.Mounts.Source '/'", {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/mnt"}]}),
    ("HostConfig.Mounts.Source", {"Mounts": [{"Type": "bind", "Source": "relative", "Target": "/mnt"}]}),
    ("HostConfig.Mounts.Source", {"Mounts": [{"Type": "volume", "Source": "/etc", "Target": "/mnt"}]}),
    ("HostConfig.Mounts.Type", {"Mounts": [{"Type": "cluster", "Source": "x", "Target": "/mnt"}]}),
    ("HostConfig.Mounts.Type", {"Mounts": [{"Type": "npipe", "Source": "x", "Target": "/mnt"}]}),
    ("HostConfig.Mounts.Type", {"Mounts": [{"Type": "BIND", "Source": "/", "Target": "/mnt"}]}),
    ("HostConfig.Mounts.Type", {"Mounts": [{"Type": "", "Source": "/", "Target": "/mnt"}]}),
    (
        "Propagation",
        {
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/etc/localtime",
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "rshared"},
                }
            ]
        },
    ),
    (
        "local:device=/,o=bind,type=none",
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Target": "/mnt",
                    "VolumeOptions": {
                        "DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}
                    },
                }
            ]
        },
    ),
    (
        "sshfs",
        {"Mounts": [{"Type": "volume", "Source": "x", "VolumeOptions": {"DriverConfig": {"Name": "vieux/sshfs"}}}]},
    ),
    (
        "tidegate.owner",
        {"Mounts": [{"Type": "volume", "Source": "x", "VolumeOptions": {"Labels": {"tidegate.owner": "bob"}}}]},
    ),
    ("evil.example", {"Mounts": [{"Type": "image", "Source": "evil.example/x", "Target": "/i"}]}),
    (
        "read-write",
        {
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/etc/localtime",
                    "Target": "/t",
                    "ReadOnly": True,
                    "BindOptions": {"ReadOnlyNonRecursive": True},
                }
            ]
        },
    ),
    ("VolumeDriver", {"VolumeDriver": "rexray"}),
    ("Tmpfs", {"Tmpfs": {"/t": "size=1m,dev"}}),
    ("Tmpfs", {"Tmpfs": {"/t": "bind"}}),
    ("target", {"Tmpfs": {"/proc/sys": ""}}),
    ("target", {"Binds": ["data:/proc/self/attr"]}),
    ("target", {"Binds": ["data:/x/../sys/fs:ro"]}),
    ("target", {"Binds": ["/proc"]}),
    ("target", {"Mounts": [{"Type": "volume", "Source": "data", "Target": "//proc"}]}),
    ("StorageOpt", {"StorageOpt": {"size": "1g", "mount_program": "/x"}}),
    ("TmpfsOptions", {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Options": [["exec"], ["dev"]]}}]}),
    ("Privileged", {"Privileged": True}),
    ("PidMode", {"PidMode": "host"}),
    ("IpcMode", {"IpcMode": "host"}),
    ("UTSMode", {"UTSMode": "host"}),
    ("UTSMode", {"UTSMode": "container:web"}),
    ("UsernsMode", {"UsernsMode": "host"}),
    ("UsernsMode", {"UsernsMode": "keep-id"}),
    ("CgroupnsMode", {"CgroupnsMode": "host"}),
    ("NetworkMode", {"NetworkMode": "host"}),
    ("NetworkMode", {"NetworkMode": "ns:/proc/1/ns/net"}),
    ("NetworkMode", {"NetworkMode": "slirp4netns:allow_host_loopback=true"}),
    ("PidMode", {"PidMode": "ns:/proc/1/ns/pid"}),
    ("Cgroup", {"Cgroup": "container:web"}),
    ("CgroupParent", {"CgroupParent": "/"}),
    ("CAP_SYS_ADMIN", {"CapAdd": ["SYS_ADMIN"]}),
    ("CAP_SYS_ADMIN", {"CapAdd": ["cap_sys_admin"]}),
    ("ALL", {"CapAdd": ["all"]}),
    ("CAP_BPF", {"CapAdd": ["NET_RAW", "BPF"]}),
    ("CAP_DAC_READ_SEARCH", {"CapAdd": ["DAC_READ_SEARCH"]}),
    ("Capabilities", {"Capabilities": ["CAP_SYS_ADMIN"]}),
    ("seccomp=unconfined", {"SecurityOpt": ["seccomp=unconfined"]}),
    ("seccomp=unconfined", {"SecurityOpt": ["seccomp:unconfined"]}),
    ("apparmor=unconfined", {"SecurityOpt": ["apparmor=unconfined"]}),
    ("apparmor=unconfined", {"SecurityOpt": ["apparmor:unconfined"]}),
    ("no-new-privileges=false", {"SecurityOpt": ["no-new-privileges=false"]}),
    ("no-new-privileges=false", {"SecurityOpt": ["no-new-privileges:false"]}),
    ("systempaths=unconfined", {"SecurityOpt": ["systempaths=unconfined"]}),
    ("label=disable", {"SecurityOpt": ["label=disable"]}),
    ("unmask=ALL", {"SecurityOpt": ["unmask=ALL"]}),
    ("seccomp=", {"SecurityOpt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']}),
    ("writable-cgroups", {"SecurityOpt": ["writable-cgroups=true"]}),
    ("MaskedPaths", {"MaskedPaths": []}),
    ("ReadonlyPaths", {"ReadonlyPaths": []}),
    ("MaskedPaths", {"MaskedPaths": ["/nothing"]}),
    ("/dev/sda", {"Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}]}),
    ("/dev/kmsg", {"Devices": [{"PathOnHost": "/dev/./kmsg"}]}),
    ("driver:nvidia", {"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]}),
    ("driver:", {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}),
    ("cdi:vendor.com/disk=0", {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/disk=0"]}]}),
    ("rule:b *:* rwm", {"DeviceCgroupRules": ["b *:* rwm"]}),
    ("kernel.core_pattern", {"Sysctls": {"kernel.core_pattern": "|/tmp/x"}}),
    ("vm.overcommit_memory", {"Sysctls": {"vm/overcommit_memory": "1"}}),
    ("Runtime", {"Runtime": "kata"}),
    ("Annotations", {"Annotations": {"run.oci.seccomp_bpf_data": ""}}),
    ("OomScoreAdj", {"OomScoreAdj": -1000}),
    ("rtprio", {"Ulimits": [{"Name": "rtprio", "Soft": 99, "Hard": 99}]}),
    ("OomKillDisable", {"OomKillDisable": True}),
    ("syslog", {"LogConfig": {"Type": "syslog", "Config": {"syslog-address": "tcp://10.0.0.1"}}}),
    ("json-file:path", {"LogConfig": {"Type": "json-file", "Config": {"path": "/etc/cron.d/x"}}}),
    ("PortBindings", {"PortBindings": {"22/tcp": [{"HostIp": "", "HostPort": "22"}]}}),
    ("PortBindings", {"PortBindings": {"80/tcp": [{"HostIp": "10.0.0.1", "HostPort": "1000-2000"}]}}),
    ("PortBindings", {"PortBindings": {"80/tcp": [{"HostPort": "0x50"}]}}),
]


@pytest.mark.parametrize("role", CONFINED)
@pytest.mark.parametrize(("told", "host_config"), WAYS_OUT_OF_A_CREATE)
def test_a_way_out_is_refused_and_named(role: str, told: str, host_config: Tree) -> None:
    verdict = ask(role, "ContainerCreate", create(host_config))
    assert not verdict.allowed
    assert told in verdict.reason
    assert "the access file" in verdict.reason


@pytest.mark.parametrize(("told", "host_config"), WAYS_OUT_OF_A_CREATE)
def test_a_way_out_at_the_top_of_the_document_is_refused_too(told: str, host_config: Tree) -> None:
    verdict = ask("developer", "ContainerCreate", {"Image": "alpine", **host_config})
    assert not verdict.allowed
    assert ask("admin", "ContainerCreate", {"Image": "alpine", **host_config}).allowed


@pytest.mark.parametrize("role", CONFINED)
@pytest.mark.parametrize(
    "document",
    [
        create({}, Labels={"tidegate.owner": "bob"}),
        create({}, Labels={"tidegate.": ""}),
        create({}, Image="evil.example:5000/miner"),
        create({}, Image="UPPER CASE"),
        create({}, Volumes={"/:/host": {}}),
        create({}, Volumes={"/proc": {}}),
        create({}, WorkingDir="/proc/self/fd/8"),
        create({}, WorkingDir="/x/../proc/self/fd/8/"),
        create({}, NetworkingConfig={"EndpointsConfig": {"host": {}}}),
        create({}, NetworkingConfig={"EndpointsConfig": {"bridge": {"NetworkID": "host"}}}),
        create({}, NetworkingConfig={"EndpointsConfig": {"x": {"DriverOpts": {"sysctls": "net.x=1"}}}}),
    ],
)
def test_the_rest_of_a_create_is_looked_at_too(role: str, document: Tree) -> None:
    assert not ask(role, "ContainerCreate", document).allowed


@pytest.mark.parametrize("role", CONFINED)
@pytest.mark.parametrize(
    ("operation_id", "document", "query"),
    [
        ("ContainerExec", {"Privileged": True, "Cmd": ["sh"]}, {}),
        ("ContainerExec", {"Cmd": ["sh"], "WorkingDir": "//proc/self/fd/7"}, {}),
        ("ImageCreate", {}, {"fromImage": "docker-archive:x"}),
        ("ImageCreate", {}, {"fromImage": "dir:/etc"}),
        ("ImageBuild", {}, {"dockerfile": "../../etc/shadow"}),
        ("ContainerUpdate", {"Devices": [{"PathOnHost": "/dev/sda"}]}, {}),
        ("ContainerUpdate", {"CgroupParent": "/"}, {}),
        ("ContainerStart", {}, {"checkpoint-dir": "/etc"}),
        ("ContainerTop", {}, {"ps_args": "auxe"}),
        ("ContainerTop", {}, {"ps_args": "-eo pid,environ"}),
        ("ContainerTop", {}, {"ps_args": "--cols=1"}),
        ("VolumeCreate", {"Driver": "local", "DriverOpts": {"type": "none", "o": "bind", "device": "/"}}, {}),
        ("VolumeCreate", {"DriverOpts": {"o": "bind", "device": "/", "type": "tmpfs"}}, {}),
        ("VolumeCreate", {"DriverOpts": {"o": "size=1,bind", "device": "tmpfs", "type": "tmpfs"}}, {}),
        ("VolumeCreate", {"DriverOpts": {"type": "nfs", "o": "addr=10.0.0.1", "device": ":/"}}, {}),
        ("VolumeCreate", {"DriverOpts": {"TYPE": "tmpfs", "type": "none", "device": "tmpfs"}}, {}),
        ("VolumeCreate", {"Driver": "vieux/sshfs"}, {}),
        ("VolumeCreate", {"Name": "../x"}, {}),
        ("VolumeCreate", {"ClusterVolumeSpec": {}}, {}),
        ("VolumeCreate", {"Labels": {"tidegate.owner": "bob"}}, {}),
        ("NetworkCreate", {"Name": "x", "Driver": "macvlan", "Options": {"parent": "eth0"}}, {}),
        ("NetworkCreate", {"Name": "x", "Options": {"com.docker.network.bridge.name": "docker0"}}, {}),
        ("NetworkCreate", {"Name": "x", "Options": {"com.docker.network.bridge.host_binding_ipv4": "0.0.0.0"}}, {}),
        ("NetworkCreate", {"Name": "x", "Scope": "swarm"}, {}),
        ("NetworkCreate", {"Name": "x", "Ingress": True}, {}),
        ("NetworkCreate", {"Name": "x", "ConfigFrom": {"Network": "y"}}, {}),
        ("NetworkCreate", {"Name": "x", "IPAM": {"Config": [{"Subnet": "8.8.8.0/24"}]}}, {}),
        ("NetworkCreate", {"Name": "x", "IPAM": {"Config": [{"Subnet": "0.0.0.0/1"}]}}, {}),
        ("NetworkCreate", {"Name": "x", "IPAM": {"Config": [{"Gateway": "1.1.1.1"}]}}, {}),
        ("NetworkCreate", {"Name": "x", "IPAM": {"Driver": "remote"}}, {}),
        ("ImageCreate", {}, {"fromSrc": "http://169.254.169.254/latest"}),
        ("ImageCreate", {}, {"fromImage": "evil.example/miner"}),
        ("ImageCreate", {}, {"fromImage": "EVIL.example/miner"}),
        ("ImageCreate", {}, {"fromSrc": "-", "changes": ["LABEL tidegate.owner=bob"]}),
        ("ImageBuild", {}, {"remote": "https://evil.example/x.git"}),
        ("ImageBuild", {}, {"networkmode": "host"}),
        ("ImageBuild", {}, {"securityopt": ["seccomp=unconfined"]}),
        ("ImageBuild", {}, {"cgroupparent": "/"}),
        ("ImageBuild", {}, {"ulimits": [{"Name": "rtprio", "Hard": 99, "Soft": 99}]}),
        ("ImageBuild", {}, {"labels": {"tidegate.owner": "bob"}}),
        ("ImageBuild", {}, {"t": ["evil.example/x"]}),
        ("ImageBuild", {}, {"outputs": [{"Type": "image", "Attrs": {"push": "true"}}]}),
        ("ImageTag", {}, {"repo": "evil.example/x"}),
        ("ImageSearch", {}, {"term": "10.0.0.1:5000/x"}),
        ("SystemAuth", {"serveraddress": "http://169.254.169.254/"}, {}),
        ("ImageCommit", {}, {"container": "web", "changes": ['LABEL "tidegate.owner"=bob']}),
        ("ImageCommit", {}, {"container": "web", "changes": ['LABEL tide"gate".owner=bob']}),
        ("ImageCommit", {"Labels": {"tidegate.owner": "bob"}}, {"container": "web"}),
        ("NetworkConnect", {"Container": "web", "EndpointConfig": {"DriverOpts": {"x": "y"}}}, {}),
    ],
)
def test_other_operations_have_ways_out_too(role: str, operation_id: str, document: Tree, query: Tree) -> None:
    assert not ask(role, operation_id, document, query, object_id="x").allowed
    assert ask("admin", operation_id, document, query, object_id="x").allowed


@pytest.mark.parametrize("name", ["evil.example/x", "10.0.0.1:5000/x", "localhost/x"])
@pytest.mark.parametrize("operation_id", ["ImagePush", "DistributionInspect"])
def test_a_registry_that_was_not_granted_is_not_spoken_to(operation_id: str, name: str) -> None:
    assert not ask("developer", operation_id, object_id=name).allowed
    assert ask("developer", operation_id, object_id="me/x").allowed


@pytest.mark.parametrize("role", CONFINED)
@pytest.mark.parametrize(
    "host_config",
    [
        {},
        {"Binds": ["data:/data", "/anonymous", "cache:/c:ro,z"]},
        {"Binds": ["/etc/localtime:/etc/localtime:ro"]},
        {"Mounts": [{"Type": "volume", "Source": "data", "Target": "/d"}, {"Type": "tmpfs", "Target": "/t"}]},
        {"Mounts": [{"Type": "volume", "Target": "/d", "VolumeOptions": {"Labels": {"a": "b"}, "Subpath": "x"}}]},
        {"Tmpfs": {"/run": "rw,noexec,nosuid,size=65536k", "/t": ""}},
        {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Options": [["exec"], ["size", "1m"]]}}]},
        {"Mounts": [{"Type": "image", "Source": "alpine", "Target": "/i"}]},
        {"NetworkMode": "default", "IpcMode": "private", "PidMode": "", "UTSMode": "", "CgroupnsMode": "private"},
        {"NetworkMode": "none", "CapDrop": ["ALL"], "CapAdd": ["NET_RAW", "cap_chown"]},
        {"SecurityOpt": ["no-new-privileges", "no-new-privileges:true", "apparmor=docker-default"]},
        {"MaskedPaths": None, "ReadonlyPaths": None, "OomKillDisable": False, "Privileged": False},
        {"Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0", "net.core.somaxconn": "1024"}},
        {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3"}}},
        {"LogConfig": {"Type": "", "Config": {}}},
        {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": ""}]}},
        {"PortBindings": {"80/udp": [{"HostIp": "::", "HostPort": "8000-8010"}], "1/tcp": None}, "OomScoreAdj": 500},
        {"StorageOpt": {"size": "1g"}, "Binds": ["data:/process", "data:/var/proc"]},
        {"PublishAllPorts": True, "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 65536}]},
        {"RestartPolicy": {"Name": "always"}, "Memory": 1 << 30, "NanoCpus": 10**9, "Init": True},
    ],
)
def test_everyday_containers_are_allowed(role: str, host_config: Tree) -> None:
    verdict = ask(role, "ContainerCreate", create(host_config))
    assert verdict.allowed, verdict.reason


@pytest.mark.parametrize(
    ("operation_id", "document", "query"),
    [
        ("ContainerExec", {"Cmd": ["sh"], "User": "root", "Privileged": False}, {}),
        ("ContainerUpdate", {"Memory": 1 << 30, "RestartPolicy": {"Name": "no"}}, {}),
        ("ContainerTop", {}, {"ps_args": "aux"}),
        ("ContainerTop", {}, {"ps_args": "-ef"}),
        ("ContainerTop", {}, {"ps_args": "-eo pid,comm"}),
        ("VolumeCreate", {"Name": "x", "Driver": "local", "Labels": {"a": "b"}}, {}),
        ("VolumeCreate", {"DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=100m,uid=1000"}}, {}),
        ("NetworkCreate", {"Name": "x", "Driver": "bridge", "IPAM": {"Driver": "default", "Config": []}}, {}),
        (
            "NetworkCreate",
            {"Name": "x", "IPAM": {"Config": [{"Subnet": "172.20.0.0/16", "Gateway": "172.20.0.1"}]}},
            {},
        ),
        ("NetworkCreate", {"Name": "x", "Internal": True, "Options": {"com.docker.network.driver.mtu": "1400"}}, {}),
        ("ImageCreate", {}, {"fromImage": "alpine", "tag": "3.20"}),
        ("ImageCreate", {}, {"fromImage": "ghcr.io/o/i"}),
        ("ImageCreate", {}, {"fromImage": "docker:dind"}),
        ("ImageCreate", {}, {"fromSrc": "-", "repo": "mine", "changes": ["LABEL a=b"]}),
        ("ImageBuild", {}, {"t": ["mine:dev"], "remote": "client-session", "networkmode": "default", "version": "2"}),
        ("ImageBuild", {}, {"labels": {"a": "b"}, "outputs": [{"Type": "moby"}], "cachefrom": ["mine:dev"]}),
        ("ImageBuild", {}, {"dockerfile": "deploy/Dockerfile..prod"}),
        ("ContainerExec", {"Cmd": ["sh"], "WorkingDir": "/srv"}, {}),
        ("ImageTag", {}, {"repo": "mine", "tag": "1"}),
        ("ImageSearch", {}, {"term": "library/alpine"}),
        ("SystemAuth", {"serveraddress": "https://index.docker.io/v1/"}, {}),
        ("ImageCommit", {"Cmd": ["sh"]}, {"container": "web", "repo": "mine"}),
    ],
)
def test_everyday_work_is_allowed(operation_id: str, document: Tree, query: Tree) -> None:
    verdict = ask("developer", operation_id, document, query, object_id="x")
    assert verdict.allowed, verdict.reason


@pytest.mark.parametrize(
    ("operation_id", "document", "query", "must_own"),
    [
        ("ContainerCreate", create({"VolumesFrom": ["db:ro"]}), {}, [(ObjectKind.CONTAINER, "db")]),
        ("ContainerCreate", create({"PidMode": "container:db"}), {}, [(ObjectKind.CONTAINER, "db")]),
        ("ContainerCreate", create({"IpcMode": "container:db"}), {}, [(ObjectKind.CONTAINER, "db")]),
        ("ContainerCreate", create({"NetworkMode": "container:db"}), {}, [(ObjectKind.CONTAINER, "db")]),
        ("ContainerCreate", create({"Links": ["db:alias"]}), {}, [(ObjectKind.CONTAINER, "db")]),
        ("ContainerCreate", create({"NetworkMode": "backend"}), {}, [(ObjectKind.NETWORK, "backend")]),
        (
            "ContainerCreate",
            create({}, NetworkingConfig={"EndpointsConfig": {"backend": None}}),
            {},
            [(ObjectKind.NETWORK, "backend")],
        ),
        ("ImageBuild", {}, {"networkmode": "container:db"}, [(ObjectKind.CONTAINER, "db")]),
        ("ImageCommit", {}, {"container": "db"}, [(ObjectKind.CONTAINER, "db")]),
        (
            "NetworkConnect",
            {"Container": "db"},
            {},
            [(ObjectKind.CONTAINER, "db"), (ObjectKind.NETWORK, "x")],
        ),
        ("ContainerExec", {"Cmd": ["sh"]}, {}, [(ObjectKind.CONTAINER, "x")]),
    ],
)
def test_other_objects_of_a_request_have_to_be_the_clients(
    operation_id: str, document: Tree, query: Tree, must_own: list[tuple[ObjectKind, str]]
) -> None:
    verdict = ask("developer", operation_id, document, query, object_id="x")
    assert verdict.allowed
    assert verdict.must_own == tuple(ObjectReference(kind, name) for kind, name in must_own)


def test_a_volume_need_not_exist_but_may_not_be_anothers() -> None:
    verdict = ask("developer", "ContainerCreate", create({"Binds": ["data:/d", "data:/e"]}))
    assert verdict.must_own == (ObjectReference(ObjectKind.VOLUME, "data", may_be_absent=True, make_first=True),)
    mount = {"Type": "volume", "Source": "data", "Target": "/d", "VolumeOptions": {"Labels": {"a": "b"}}}
    verdict = ask("developer", "ContainerCreate", create({"Mounts": [mount]}))
    assert verdict.must_own == (ObjectReference(ObjectKind.VOLUME, "data", may_be_absent=True),)


def own_role(**fields: object) -> Policy:
    developer = BUILT_IN_ROLES["developer"]
    values = {name: getattr(developer, name) for name in Role.__struct_fields__}
    return Policy({"own": Role(**(values | {"name": "own"} | fields))})  # type: ignore[arg-type]


def test_a_quota_counts_what_is_there_and_what_is_asked() -> None:
    policy = own_role(quota=Quota(containers=2, memory_bytes=1000, nano_cpus=2 * 10**9, published_ports=1))

    def reason(host_config: Tree, usage: Usage) -> str:
        return ask("own", "ContainerCreate", create(host_config), policy=policy, usage=usage).reason

    fits: Tree = {"Memory": 500, "NanoCpus": 10**9}
    assert reason(fits, Usage(1, 500, 10**9, 1)) == ""
    assert "3 containers are more than the 2 allowed" in reason(fits, Usage(2))
    assert "1100 bytes of memory" in reason(fits, Usage(1, 600))
    assert "CPU" in reason(fits, Usage(1, 0, 15 * 10**8))
    assert "--memory" in reason({"NanoCpus": 1}, Usage())
    assert "--cpus" in reason({"Memory": 1}, Usage())
    assert reason({"Memory": 1, "CpuQuota": 50_000}, Usage()) == ""
    two_ports = {"80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081"}]}
    assert "2 published ports" in reason({**fits, "PortBindings": two_ports}, Usage())
    assert "docker run -P" in reason({**fits, "PublishAllPorts": True}, Usage())


def test_a_quota_cannot_be_updated_away() -> None:
    policy = own_role(quota=Quota(memory_bytes=1000))
    assert ask("own", "ContainerUpdate", {"Memory": 1000}, policy=policy).allowed
    assert not ask("own", "ContainerUpdate", {"Memory": 1001}, policy=policy).allowed
    assert not ask("own", "ContainerUpdate", {"Memory": -1}, policy=policy).allowed


def test_a_role_for_everybodys_objects_owns_nothing() -> None:
    verdict = ask("own", "ContainerCreate", create({"VolumesFrom": ["db"]}), policy=own_role(scope=Scope.ALL))
    assert verdict.allowed
    assert verdict.must_own == ()
