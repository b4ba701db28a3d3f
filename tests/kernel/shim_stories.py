"""Stories of the runtime driver, each told by a process in a mount namespace of its own (``test_shim_runtime``).

``python -m tests.kernel.shim_stories STORY ROOT PARENT [WORDS]``; ROOT holds a root filesystem with busybox.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.control_groups import groups_in
from tests.kernel.shim_client import supervisors, worker_and_keeper

from tidegate.drivers.oci.config import OCIRequest, ProcessRequest, ResourceRequest, plan_config
from tidegate.drivers.shim.bundles import Bundles
from tidegate.drivers.shim.runtime import ShimRuntime
from tidegate.drivers.shim.stream import SocketStream
from tidegate.engine.ports import ContainerProcess, Exited, LogTarget, OutOfMemory, Stdio
from tidegate.kernel.cgroups.host import open_cgroups


@dataclass
class World:
    """One engine's runtime; ``parent`` is its control groups' directory."""

    root: Path
    parent: str
    words: list[str]

    def __post_init__(self) -> None:
        self.groups = open_cgroups(self.parent)
        self.runtime = ShimRuntime(self.root / "exec", self.groups, Bundles(self.root / "exec/bundles", self.parent))

    async def start(self, name: str, script: str, stdio: Stdio | None = None) -> int:
        stdio = stdio or Stdio()
        process = ProcessRequest(args=("sh", "-c", script), hostname="box", tty=stdio.tty)
        resources = ResourceRequest(memory_bytes=64 << 20, pids_limit=20)
        request = OCIRequest(
            process=process,
            rootfs=str(self.root / "rootfs"),
            cgroups_path=f"/{self.parent}/{name}",
            netns_path=None,
            net_host=True,
            resources=resources,
        )
        log = LogTarget(self.root / f"{name}.log", 1 << 20, 2)
        await self.runtime.create(ContainerProcess(name, plan_config(request), stdio, log))
        return await self.runtime.start(name)

    def logged(self, name: str) -> str:
        lines = (self.root / f"{name}.log").read_text().splitlines()
        return "".join(json.loads(line)["log"] for line in lines)

    async def attach(self, name: str) -> SocketStream:
        return await self.runtime.attach(name, None, stdin=True, stdout=True, stderr=True)

    async def exits(self, count: int) -> dict[str, int]:
        ends: dict[str, int] = {}
        async for event in self.runtime.events():
            ends[event.container_id] = event.exit_code
            if len(ends) == count:
                break
        return ends

    async def finish(self, *names: str) -> None:
        for name in names:
            await self.runtime.release(name)
            await self.runtime.release(name)
            assert name not in [each.name for each in groups_in(self.parent)]
        assert await self.runtime.recover() == []
        await (await self.runtime._shim.connection()).call("shutdown")
        await self.runtime.close()


async def read_all(stream: SocketStream) -> bytes:
    output = b""
    while data := await stream.read():
        output += data
    return output


async def life(world: World) -> None:
    assert await world.runtime.recover() == []
    pid = await world.start("c1", "read word; echo got $word; exit 7", Stdio(open_stdin=True))
    stream = await world.attach("c1")
    assert pid in await world.runtime.pids("c1")
    joined = dict(line.split(":")[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    assert (joined.get("memory") or joined[""]) == f"/{world.parent}/c1"
    await stream.write(b"hello\n")
    await stream.close_stdin()
    assert await read_all(stream) == b"\x01\0\0\0\0\0\0\x0agot hello\n"
    assert await world.exits(1) == {"c1": 7}
    assert world.logged("c1") == "got hello\n"
    await world.finish("c1")


async def memory(world: World) -> None:
    """A process that is not the container's first runs out of memory; the container goes on."""
    assert await world.runtime.recover() == []
    hungry = "busybox dd if=/dev/zero of=/dev/null bs=100M count=1"
    await world.start("c1", f"{hungry}; echo goes on; read word; exit 7", Stdio(open_stdin=True))
    told: list[object] = []
    async for event in world.runtime.events():
        told.append(event)
        if isinstance(event, OutOfMemory):
            stream = await world.attach("c1")
            await stream.write(b"hello\n")
        else:
            break
    assert isinstance(told[0], OutOfMemory) and isinstance(told[-1], Exited), told
    assert (told[-1].exit_code, told[-1].oom_killed, world.logged("c1")) == (7, True, "Killed\ngoes on\n"), told
    assert [each.exit for each in await world.runtime.recover()] == [told[-1]]
    await world.finish("c1")


async def kills(world: World) -> None:
    """``words`` say who is killed together, one after another: w the worker, k the keeper, wk both."""
    reads = "trap '' HUP; echo first; read word; echo got $word; exit 7"
    ticks = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); sleep 0.005; done; exit 4"
    await world.start("pipes", reads, Stdio(open_stdin=True))
    await world.start("terminal", reads, Stdio(open_stdin=True, tty=True))
    await world.start("ticker", ticks)
    await world.start("quick", "sleep 0.7; exit 3")
    for victims in world.words:
        await kill(world, victims)
        known = {each.container_id for each in await world.runtime.recover()}
        assert known == {"pipes", "quick", "terminal", "ticker"}
        await world.start("later", "exit 5")
        while {each.container_id: each.exit for each in await world.runtime.recover()}["later"] is None:
            await asyncio.sleep(0.01)
        await world.runtime.release("later")
    for name in ("pipes", "terminal"):
        stream = await world.attach(name)
        await stream.write(b"hello\n")
        assert b"got hello" in await read_all(stream)
    assert await world.exits(4) == {"pipes": 7, "terminal": 7, "ticker": 4, "quick": 3}
    assert world.logged("pipes") == "first\ngot hello\n"
    assert world.logged("terminal") == "first\r\nhello\r\ngot hello\r\n"
    assert world.logged("ticker") == "".join(f"line {number}\n" for number in range(300))
    await world.finish("pipes", "terminal", "ticker", "quick")


async def kill(world: World, victims: str) -> None:
    root = world.root / "exec/shim"
    worker, keeper = await asyncio.to_thread(worker_and_keeper, root)
    await asyncio.sleep(0.1)
    killed = {pid for pid, name in ((worker, "w"), (keeper, "k")) if name in victims}
    for pid in killed:
        os.kill(pid, 9)
    while killed & set(supervisors(root)):
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    story = {"life": life, "memory": memory, "kills": kills}[sys.argv[1]]
    asyncio.run(asyncio.wait_for(story(World(Path(sys.argv[2]), sys.argv[3], sys.argv[4:])), 60))
    print("told")
