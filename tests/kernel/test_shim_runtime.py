"""The runtime driver with the real shim, crun and control groups: a container from create to release.

Runs in a private mount namespace of its own process, where a hybrid host's cgroup2 mount is hidden from crun.
"""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("crun") is None
    or not Path("/bin/busybox").exists()
    or not Path("/sys/fs/cgroup/pids/cgroup.procs").exists(),
    reason="needs root, crun, busybox-static and cgroup v1 controllers",
)

STORY = """
import asyncio, json, sys
from pathlib import Path
from tidegate.drivers.oci_config import OCIRequest, ProcessRequest, ResourceRequest, plan_config
from tidegate.drivers.shim_runtime import ShimRuntime
from tidegate.engine.ports import ContainerProcess, LogTarget, Stdio
from tidegate.kernel.cgroups_v1 import CgroupsV1

root, parent = Path(sys.argv[1]), sys.argv[2]
rootfs = root / "rootfs"

async def main():
    groups = CgroupsV1(parent)
    runtime = ShimRuntime(root / "exec", groups)
    assert await runtime.recover() == []
    process = ProcessRequest(args=("sh", "-c", "read word; echo got $word; exit 7"), hostname="box")
    request = OCIRequest(process=process, rootfs=str(rootfs), cgroups_path=f"/{parent}/c1",
                         netns_path=None, net_host=True,
                         resources=ResourceRequest(memory_bytes=64 << 20, pids_limit=20))
    log = LogTarget("json-file", root / "c1.log", 1 << 20, 2)
    await runtime.create(ContainerProcess("c1", plan_config(request), Stdio(open_stdin=True), log))
    stream = await runtime.attach("c1", None, stdin=True, stdout=True, stderr=True)
    pid = await runtime.start("c1")
    assert pid in await runtime.pids("c1"), (pid, await runtime.pids("c1"))
    assert f":memory:/{parent}/c1" in Path(f"/proc/{pid}/cgroup").read_text()
    await stream.write(b"hello\\n")
    await stream.close_stdin()
    output = b""
    while data := await stream.read():
        output += data
    assert output == b"\\x01\\0\\0\\0\\0\\0\\0\\x0agot hello\\n", output
    async for event in runtime.events():
        assert (event.container_id, event.exit_code) == ("c1", 7), event
        break
    assert json.loads((root / "c1.log").read_text())["log"] == "got hello\\n"
    await runtime.release("c1")
    await runtime.release("c1")
    assert await runtime.recover() == []
    assert not groups.path("pids", "c1").exists()
    await runtime._call("shutdown")
    await runtime.close()

asyncio.run(asyncio.wait_for(main(), 60))
print("told")
"""


def test_a_container_from_create_to_release(tmp_path: Path) -> None:
    rootfs = tmp_path / "rootfs"
    for name in ("bin", "proc", "sys", "dev", "etc", "tmp"):
        (rootfs / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", rootfs / "bin/busybox")
    (rootfs / "bin/sh").symlink_to("busybox")
    parent = f"tidegate-test-{secrets.token_hex(4)}"
    script = tmp_path / "story.py"
    script.write_text(STORY)
    hide = "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi"
    inside = f'{hide}; exec "{sys.executable}" "{script}" "{tmp_path}" "{parent}"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside]
    output = tmp_path / "output"
    try:
        with output.open("w") as file:  # no pipe: a shim that is left over would hold it open
            code = subprocess.run(command, stdout=file, stderr=file, timeout=90, check=False).returncode
        assert (code, output.read_text()) == (0, "told\n")
    finally:
        for directory in Path("/sys/fs/cgroup").glob(f"*/{parent}"):
            directory.rmdir()
