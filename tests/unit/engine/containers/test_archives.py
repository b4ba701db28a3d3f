"""Which files of a container are looked at, and what is told of it, on fakes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.fakes.files import FakeFiles
from tests.fakes.filesystems import FakeMounts
from tests.unit.engine.life import Life, settle

from tidegate.base.errors import ConflictError, ForbiddenError, InvalidParameterError, NotFoundError
from tidegate.engine.containers.archives import ArchiveService
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.file_ports import BindMount, RestingTree, RunningTree, WriteRequest
from tidegate.model.phases import Phase

BIND = BindMount("/srv", "/data", True)


def play(body: Callable[[Life, FakeFiles, ArchiveService], Awaitable[None]], document: bytes = b"{}") -> None:
    async def scene() -> None:
        life, files = Life(), FakeFiles("/etc/hosts")
        life.boot()
        await life.service.create(NewContainer("web", "demo", "sha256:1", document=document))
        try:
            service = ArchiveService(
                life.service, files, files.hold, lambda _: nullcontext(), FakeMounts([BIND]).hold, lambda _: None
            )
            await asyncio.wait_for(body(life, files, service), 30)
            assert files.held == []
        finally:
            await life.close()

    asyncio.run(scene())


async def upload() -> AsyncIterator[bytes]:
    yield b"tar"


def test_a_container_at_rest_shows_its_rootfs_with_its_mounts() -> None:
    async def body(life: Life, files: FakeFiles, service: ArchiveService) -> None:
        identity = life.service.resolve("web").id
        assert (await service.stat("web", "/etc/hosts")).name == "hosts"
        assert files.calls == [("stat", RestingTree(Path("/rootfs") / identity, [BIND], False), "/etc/hosts")]

    play(body)


def test_a_running_container_shows_what_its_processes_see() -> None:
    async def body(life: Life, files: FakeFiles, service: ArchiveService) -> None:
        await life.service.start("web")
        container = life.service.resolve("web")
        await service.stat("web", "/etc/hosts")
        assert files.calls[0][1] == RunningTree(container.id, container.state.pid)

    play(body)


def test_the_rootfs_is_held_until_the_archive_is_read_or_left() -> None:
    async def body(life: Life, files: FakeFiles, service: ArchiveService) -> None:
        found, archive = await service.read("web", "/etc/hosts", gzip=False)
        assert (found.size_bytes, files.held) == (3, [life.service.resolve("web").id])
        assert [chunk async for chunk in archive] == [b"tar"]
        assert files.held == []
        left = await service.export("web")
        await anext(left)
        await left.aclose()  # type: ignore[attr-defined]
        assert life.actions()[-2:] == ["archive-path", "export"]

    play(body)


def test_an_upload_goes_to_the_container_s_user_if_asked() -> None:
    async def body(life: Life, files: FakeFiles, service: ArchiveService) -> None:
        await service.write("web", "/srv", upload(), keep_kinds=True, own=False)
        await service.write("web", "/srv", upload(), keep_kinds=False, own=True)
        asked = [call[2] for call in files.calls]
        assert asked == [WriteRequest("/srv", True), WriteRequest("/srv", False, "app")]
        assert files.uploads == [b"tar", b"tar"]
        assert life.actions()[-1] == "extract-to-dir"

    play(body, b'{"User": "app"}')


def test_errors_are_in_docker_s_words() -> None:
    async def body(life: Life, files: FakeFiles, service: ArchiveService) -> None:
        identity = life.service.resolve("web").id
        with pytest.raises(NotFoundError, match=f"Could not find the file /nope in container {identity}"):
            await service.stat("web", "/nope")
        with pytest.raises(NotFoundError, match="Could not find the file /nope"):
            await service.read("web", "/nope", gzip=True)
        with pytest.raises(InvalidParameterError, match="path"):
            await service.stat("web", "")
        with pytest.raises(NotFoundError, match="No such container: other"):
            await service.export("other")
        files.read_only = True
        with pytest.raises(ForbiddenError, match="container rootfs is marked read-only: /srv"):
            await service.write("web", "/srv", upload(), keep_kinds=False, own=False)

    play(body, b'{"HostConfig": {"ReadonlyRootfs": true}}')


def test_what_is_half_made_or_half_gone_has_no_files() -> None:
    async def body(life: Life, files: FakeFiles, service: ArchiveService) -> None:
        life.rootfs.busy = True
        with pytest.raises(Exception, match="busy"):
            await life.service.remove("web")
        await settle()
        assert life.service.resolve("web").state.phase is Phase.DEAD
        with pytest.raises(ConflictError, match="is dead: it has no files"):
            await service.stat("web", "/etc/hosts")

    play(body)
