"""The OCI configuration as crun and the kernel carry it out: seccomp, capabilities, limits, mounts, users.

Each container runs in a private mount namespace, where a hybrid host's cgroup2 mount is hidden from crun, on an overlay
root of Debian's static busybox.
"""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.control_groups import HAS_CONTROLLERS, UNIFIED, parents

from tidegate.drivers.oci.config import MountRequest, OCIRequest, plan_config
from tidegate.drivers.oci.process import ProcessRequest
from tidegate.drivers.resources import ResourceRequest
from tidegate.kernel.capabilities import DEFAULT_CAPABILITIES, effective_capabilities, held_capabilities
from tidegate.kernel.seccomp.compiler import DEFAULT_PROFILE, SeccompCompiler

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("crun") is None
    or not Path("/bin/busybox").exists()
    or not DEFAULT_PROFILE.exists()
    or not HAS_CONTROLLERS,
    reason="needs root, crun, busybox-static, the default seccomp profile and cgroup controllers",
)

DEFAULT_MASK = 0x00000000A80425FB
"""CapEff of a container of dockerd with default settings."""

HIDE_UNIFIED = (
    'if mountpoint -q /sys/fs/cgroup/unified; then umount -l /sys/fs/cgroup/unified; fi; exec crun --root "$1" run -b '
    '"$2" "$3"'
)


def run(bundle: Path, script: str, request: OCIRequest) -> "subprocess.CompletedProcess[str]":
    """Run ``script`` with the container's shell; its cgroups and state are gone afterwards."""
    name = f"tidegate-test-{secrets.token_hex(4)}"
    rootfs = bundle / "rootfs"
    (rootfs / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", rootfs / "bin/busybox")
    for applet in ("sh", "cat", "grep", "head", "id", "mknod", "touch", "true", "unshare", "wc"):
        (rootfs / "bin" / applet).symlink_to("busybox")
    process = replace(request.process, args=("sh", "-c", script), available_capabilities=held_capabilities())
    config = plan_config(replace(request, process=process, rootfs=str(rootfs), cgroups_path=f"/{name}"))
    (bundle / "config.json").write_text(json.dumps(config))
    try:
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", HIDE_UNIFIED, "sh", str(bundle / "state"), str(bundle), name],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        for directory in parents(name):
            directory.rmdir()


def request(process: ProcessRequest | None = None) -> OCIRequest:
    program = SeccompCompiler().program(DEFAULT_CAPABILITIES)
    process = process or ProcessRequest(args=(), hostname="box")
    return OCIRequest(process=process, rootfs="", cgroups_path="", netns_path=None, seccomp=program)


def status(text: str) -> Mapping[str, str]:
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_a_default_container_is_filtered_and_holds_fourteen_capabilities(tmp_path: Path) -> None:
    script = "cat /proc/self/status; unshare -U true; echo x > /proc/sys/kernel/hostname"
    result = run(tmp_path, script, request())
    shown = status(result.stdout)
    assert (shown["Seccomp"], shown["Seccomp_filters"], shown["NoNewPrivs"]) == ("2", "1", "0"), result
    assert int(shown["CapEff"], 16) == int(shown["CapBnd"], 16) == DEFAULT_MASK
    assert (int(shown["CapInh"], 16), int(shown["CapAmb"], 16)) == (0, 0)
    # a new user namespace needs no capability: only the compiled filter forbids it
    assert "unshare(0x10000000): Operation not permitted" in result.stderr
    assert "hostname: Read-only file system" in result.stderr


def test_without_the_filter_the_same_call_is_allowed(tmp_path: Path) -> None:
    result = run(tmp_path, "unshare -U true && grep Seccomp: /proc/self/status", replace(request(), seccomp=None))
    assert (result.returncode, result.stdout) == (0, "Seccomp:\t0\n"), result


def test_cap_sys_admin_widens_the_filter_with_it(tmp_path: Path) -> None:
    capabilities = effective_capabilities(("SYS_ADMIN",), (), privileged=False, available=held_capabilities())
    wanted = replace(
        request(ProcessRequest(args=(), cap_add=("SYS_ADMIN",))), seccomp=SeccompCompiler().program(capabilities)
    )
    result = run(tmp_path, "unshare -U true && grep Seccomp: /proc/self/status", wanted)
    assert (result.returncode, result.stdout) == (0, "Seccomp:\t2\n"), result


def test_a_plain_user_has_its_groups_and_no_capabilities(tmp_path: Path) -> None:
    process = ProcessRequest(
        args=(),
        user="web",
        passwd="web:x:33:34::/srv:/bin/sh\n",
        group="log:x:4:web\n",
        no_new_privileges=True,
        ulimits=(("nofile", 100, 200),),
    )
    result = run(tmp_path, "id -u; id -G; ulimit -n; ulimit -Hn; echo $HOME; cat /proc/self/status", request(process))
    assert result.stdout.splitlines()[:5] == ["33", "34 4", "100", "200", "/srv"], result
    shown = status(result.stdout)
    assert (int(shown["CapEff"], 16), int(shown["CapBnd"], 16)) == (0, DEFAULT_MASK)
    assert shown["NoNewPrivs"] == "1"


def test_limits_are_read_back_in_the_container(tmp_path: Path) -> None:
    resources = ResourceRequest(memory_bytes=64 << 20, nano_cpus=500_000_000, cpu_shares=512, pids_limit=40)
    files = "memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares pids/pids.max"
    shown = [str(64 << 20), "50000", "512", "40"]
    if UNIFIED:
        files, shown = "memory.max cpu.max cpu.weight pids.max", [str(64 << 20), "50000", "100000", "20", "40"]
    script = f"cd /sys/fs/cgroup; cat {files}; touch {files.split()[0]}"
    result = run(tmp_path, script, replace(request(), resources=resources, cgroup_private=UNIFIED))
    assert result.stdout.split() == shown, result
    assert "Read-only file system" in result.stderr


def test_only_the_default_devices_can_be_opened(tmp_path: Path) -> None:
    script = "mknod /zero c 1 5; mknod /kmsg c 1 11; head -c 1 /zero | wc -c; head -c 1 /kmsg"
    result = run(tmp_path, script, request())
    assert result.stdout.split() == ["1"], result
    assert "/kmsg: Operation not permitted" in result.stderr


def test_read_only_root_tmpfs_and_binds(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/file").write_text("from the host\n")
    for place in ("t", "b"):
        (tmp_path / "rootfs" / place).mkdir(parents=True)
    wanted = replace(
        request(),
        readonly_rootfs=True,
        mounts=(
            MountRequest("tmpfs", "/t", options=("size=1m",)),
            MountRequest("bind", "/b", str(tmp_path / "host"), read_only=True),
        ),
    )
    result = run(tmp_path, "touch /x; touch /t/x && echo t; touch /b/x; cat /b/file; grep ' /t ' /proc/mounts", wanted)
    lines = result.stdout.splitlines()
    assert lines[:2] == ["t", "from the host"], result
    assert {"noexec", "nosuid", "nodev", "size=1024k"} <= set(lines[2].split()[3].split(","))
    assert result.stderr.count("Read-only file system") == 2
