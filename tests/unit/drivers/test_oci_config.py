"""The OCI document: Docker's defaults, users, mounts, resources."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.oci import config as oci
from tidegate.drivers.oci import process as ocip
from tidegate.drivers.resources import ResourceRequest, plan_resources
from tidegate.engine.isolation.user_namespaces import IdMapping, IdRange
from tidegate.kernel.seccomp.compiler import BPF_ANNOTATION, SeccompProgram

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv/web:/bin/sh\n"
GROUP = "root:x:0:\nwww:x:34:\nlog:x:4:web,other\n"


def request(process: ocip.ProcessRequest | None = None, **changes: object) -> oci.OCIRequest:
    process = process or ocip.ProcessRequest(args=("true",), hostname="h", passwd=PASSWD, group=GROUP)
    base = {"rootfs": "/r", "cgroups_path": "/t/c", "netns_path": "/run/n"}
    return oci.OCIRequest(process=process, **(base | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0, (0,), "/root")),
        ("web", (33, 34, (34, 4), "/srv/web")),
        ("33", (33, 34, (34, 4), "/srv/web")),
        ("web:log", (33, 4, (4,), "/srv/web")),
        ("1000", (1000, 0, (0,), "/")),
        ("1000:50", (1000, 50, (50,), "/")),
    ],
)
def test_users_resolve_as_docker_does(user: str, expected: tuple[int, int, tuple[int, ...], str]) -> None:
    got = ocip.resolve_user(user, PASSWD, GROUP)
    assert (got.uid, got.gid, got.additional_gids, got.home) == expected


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("web:nogroup", "unable to find group nogroup: no matching entries in group file"),
        ("4294967296", "uids and gids must be in range 0-2147483647"),
        ("-1", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_unknown_users_are_refused_in_dockers_words(user: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        ocip.resolve_user(user, PASSWD, GROUP)


def test_defaults_give_fourteen_capabilities_and_masked_paths() -> None:
    config = oci.plan_config(request())
    assert len(config["process"]["capabilities"]["effective"]) == 14
    assert "/proc/kcore" in config["linux"]["maskedPaths"]
    assert config["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    assert config["process"]["env"] == [ocip.DEFAULT_PATH, "HOSTNAME=h", "HOME=/root"]


def test_a_plain_user_holds_no_effective_capabilities() -> None:
    process = ocip.plan_process(ocip.ProcessRequest(args=("id",), user="33", cap_add=("net_admin",), cap_drop=("ALL",)))
    assert process["capabilities"]["bounding"] == ["CAP_NET_ADMIN"]
    assert process["capabilities"]["effective"] == []


def test_privileged_lifts_masks_and_devices() -> None:
    process = ocip.ProcessRequest(args=("x",), privileged=True, available_capabilities=frozenset({"CAP_KILL"}))
    config = oci.plan_config(request(process))
    assert config["process"]["capabilities"]["bounding"] == ["CAP_KILL"]
    assert config["linux"]["maskedPaths"] == []
    assert config["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert BPF_ANNOTATION not in config["annotations"]


def test_a_filter_is_handed_over_with_the_flags_of_its_profile() -> None:
    program = SeccompProgram(b"12345678", ("SECCOMP_FILTER_FLAG_LOG",))
    config = oci.plan_config(request(ocip.ProcessRequest(args=("x",)), seccomp=program))
    assert config["linux"]["seccomp"] == {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}
    assert config["annotations"][BPF_ANNOTATION] == "MTIzNDU2Nzg="


def test_a_users_mount_replaces_the_default_and_parents_come_first() -> None:
    mounts = oci.plan_mounts(
        request(
            mounts=(
                oci.MountRequest("bind", "/a/b", "/h/b", read_only=True),
                oci.MountRequest("tmpfs", "/dev/shm", options=("size=1m", "exec")),
                oci.MountRequest("bind", "/a", "/h/a"),
            )
        )
    )
    paths = [mount["destination"] for mount in mounts]
    assert paths.count("/dev/shm") == 1
    assert paths.index("/a") < paths.index("/a/b")
    by_path = {mount["destination"]: mount for mount in mounts}
    assert by_path["/a/b"]["options"] == ["rbind", "ro", "rprivate"]
    assert by_path["/dev/shm"]["options"] == ["nosuid", "nodev", "size=1m", "exec"]


def test_an_unknown_tmpfs_option_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match='Invalid tmpfs option "bogus"'):
        oci.plan_mounts(request(mounts=(oci.MountRequest("tmpfs", "/t", options=("bogus",)),)))


def test_resources_and_init() -> None:
    resources = plan_resources(ResourceRequest(memory_bytes=64 << 20, nano_cpus=1_500_000_000, pids_limit=9))
    assert resources == {
        "memory": {"limit": 64 << 20, "swap": 128 << 20},
        "cpu": {"quota": 150_000, "period": 100_000},
        "pids": {"limit": 9},
    }
    config = oci.plan_config(request(init_host_path="/usr/bin/tini"))
    assert config["process"]["args"] == ["/sbin/docker-init", "--", "true"]


def test_a_bare_name_unsets_a_variable_and_bad_input_is_named() -> None:
    assert ocip.plan_process(ocip.ProcessRequest(args=("x",), env=("PATH", "HOME=/h")))["env"] == ["HOME=/h"]
    with pytest.raises(InvalidParameterError, match='unknown capability: "CAP_BOGUS"'):
        ocip.plan_process(ocip.ProcessRequest(args=("x",), cap_add=("bogus",)))
    with pytest.raises(InvalidParameterError, match="needs to be an absolute path"):
        ocip.plan_process(ocip.ProcessRequest(args=("x",), cwd="rel"))


def test_binds_are_as_deep_as_they_are_asked() -> None:
    wanted = (
        oci.MountRequest("bind", "/a", "/s"),
        oci.MountRequest("bind", "/b", "/s", read_only=True, recursive=False),
        oci.MountRequest("bind", "/c", "/s", read_only=True, read_only_below=True, propagation="rslave"),
    )
    found = {each["destination"]: each["options"] for each in oci.plan_mounts(request(mounts=wanted))}
    assert found["/a"] == ["rbind", "rprivate"]
    assert found["/b"] == ["bind", "ro", "rprivate"]
    assert found["/c"] == ["rbind", "rro", "rslave"]


def test_a_user_namespace_is_joined_and_told_with_its_ids() -> None:
    mapping = IdMapping((IdRange(0, 1000, 10),), (IdRange(0, 2000, 5), IdRange(5, 9000, 5)))
    mapped = {"userns_path": "/n/user", "id_mapping": mapping, "domainname": "example.com", "ipc_host": True}
    config = oci.plan_config(request(**mapped))
    linux = config["linux"]
    assert {"type": "user", "path": "/n/user"} in linux["namespaces"]
    assert linux["uidMappings"] == [{"containerID": 0, "hostID": 1000, "size": 10}]
    assert [each["hostID"] for each in linux["gidMappings"]] == [2000, 9000]
    assert linux["sysctl"]["net.ipv4.ping_group_range"] == "0 9"
    assert config["domainname"] == "example.com" and "kernel.domainname" not in linux["sysctl"]
    queues = next(each for each in config["mounts"] if each["destination"] == "/dev/mqueue")
    assert (queues["type"], queues["source"]) == ("bind", "/dev/mqueue")
    plain = oci.plan_config(request(domainname="example.com"))
    assert "uidMappings" not in plain["linux"] and plain["linux"]["sysctl"]["kernel.domainname"] == "example.com"
    assert "user" not in [each["type"] for each in plain["linux"]["namespaces"]]
