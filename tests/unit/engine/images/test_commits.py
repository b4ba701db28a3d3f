"""Images made of containers, on fakes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from tests.fakes.registry import FakeLayerStore, FakeRegistry, layer_tar
from tests.unit.engine.life import Life

from tidegate.base.errors import InternalError, InvalidParameterError, NotFoundError
from tidegate.drivers.content import ContentDirectory
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.file_ports import Change
from tidegate.engine.images.commits import CommitRequest, CommitService, image_config
from tidegate.engine.images.service import ImageService
from tidegate.model.phases import Phase
from tidegate.spec.container import ContainerConfig, Empty
from tidegate.spec.oci_image import digest_of

DOCUMENT = b'{"Cmd": ["sh", "-c", "x"], "Env": ["A=1", "B=2"], "Labels": {"a": "b"}, "User": "app"}'


class FakeLayers:
    """``layer`` is what every container changed; ``seen`` the phases it was read in."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.layer = layer_tar("new")
        self.seen: list[Phase] = []
        self.breaks = False

    async def changes(self, container_id: str) -> Sequence[Change]:
        return [Change("/new", "added")]

    async def diff(self, container_id: str) -> AsyncIterator[bytes]:
        self.seen.append(self.life.service.resolve(container_id).state.phase)
        if self.breaks:
            raise InternalError("disk I/O error")
        yield self.layer


Body = Callable[[Life, FakeLayers, CommitService], Awaitable[None]]


def play(tmp_path: Path, body: Body) -> None:
    async def scene() -> None:
        life, registry = Life(), FakeRegistry()
        life.boot()
        layers = FakeLayers(life)
        images = ImageService(
            ContentDirectory(tmp_path), FakeLayerStore(), life.store, registry, lambda: 10**18, life.bus
        )
        base = registry.put_image("docker.io/library/demo", "latest", ["a"])
        [_ async for _ in images.pull("demo")]
        await life.service.create(NewContainer("web", "demo", base, document=DOCUMENT))
        try:
            service = CommitService(life.service, layers, images)
            await asyncio.wait_for(body(life, layers, service), 30)
        finally:
            await life.close()

    asyncio.run(scene())


def test_a_commit_is_the_image_with_one_more_layer(tmp_path: Path) -> None:
    async def body(life: Life, layers: FakeLayers, service: CommitService) -> None:
        request = CommitRequest("mine:v1", "me", "why", changes=["ENV C=3", 'CMD ["other"]'])
        made = service.images.get(await service.commit("web", request))
        assert made.tags == ("mine:v1",)
        assert made.parent == service.images.resolve("demo").image_id
        assert made.config.diff_ids[1:] == (digest_of(layers.layer),)
        document = made.config.document
        assert (document["author"], document["created"]) == ("me", "2001-09-09T01:46:40Z")
        assert document["config"] == {
            "User": "app", "Env": ["A=1", "B=2", "C=3"], "Cmd": ["other"], "Labels": {"a": "b"},
        }  # fmt: skip
        assert document["history"][1] == {
            "created": "2001-09-09T01:46:40Z", "created_by": "sh -c x", "author": "me", "comment": "why",
        }  # fmt: skip
        assert life.events()[-3:] == ["image create", "image tag", "container commit"]

    play(tmp_path, body)


def test_a_running_container_is_paused_meanwhile_if_asked_and_runs_on(tmp_path: Path) -> None:
    async def body(life: Life, layers: FakeLayers, service: CommitService) -> None:
        await life.service.start("web")
        await service.commit("web", CommitRequest())
        await service.commit("web", CommitRequest(comment="other", pause=False))
        layers.breaks = True
        with pytest.raises(InternalError):
            await service.commit("web", CommitRequest())
        assert layers.seen == [Phase.PAUSED, Phase.RUNNING, Phase.PAUSED]
        assert life.service.resolve("web").state.phase is Phase.RUNNING

    play(tmp_path, body)


def test_a_container_that_ends_before_it_is_paused_is_committed_as_it_is(tmp_path: Path) -> None:
    async def body(life: Life, layers: FakeLayers, service: CommitService) -> None:
        await life.service.start("web")
        commit = asyncio.ensure_future(service.commit("web", CommitRequest()))
        life.runtime.exit(life.service.resolve("web").id)
        assert await commit
        assert layers.seen == [Phase.EXITED]

    play(tmp_path, body)


def test_nothing_changed_adds_no_layer(tmp_path: Path) -> None:
    async def body(life: Life, layers: FakeLayers, service: CommitService) -> None:
        layers.layer = bytes(1024)
        made = service.images.get(await service.commit("web", CommitRequest("mine")))
        assert len(made.config.diff_ids) == 1
        assert made.config.document["history"][1]["empty_layer"] is True
        assert [(each["Size"] > 0) for each in service.images.history("mine")] == [False, True]

    play(tmp_path, body)


def test_what_is_wrong_is_told_before_anything_is_made(tmp_path: Path) -> None:
    async def body(life: Life, layers: FakeLayers, service: CommitService) -> None:
        with pytest.raises(InvalidParameterError, match="RUN is not a valid change command"):
            await service.commit("web", CommitRequest(changes=["RUN x"]))
        with pytest.raises(NotFoundError, match="No such container"):
            await service.commit("nobody", CommitRequest())
        await service.images.remove("demo", force=True)
        with pytest.raises(NotFoundError, match="No such image"):
            await service.commit("web", CommitRequest())
        assert (layers.seen, service.images.list()) == ([], [])

    play(tmp_path, body)


def test_what_the_client_says_goes_before_what_the_container_was_made_with() -> None:
    own = ContainerConfig(env=("A=1", "B=1"), cmd=("a",), entrypoint=("e",), exposed_ports={"1/tcp": Empty()})
    assert image_config(ContainerConfig(env=("B=2",), cmd=("b",), exposed_ports={"2/tcp": Empty()}), own) == {
        "Env": ["A=1", "B=2"],
        "Cmd": ["b"],
        "ExposedPorts": {"1/tcp": {}, "2/tcp": {}},
    }


def test_the_parent_is_known_after_a_boot_and_forgotten_with_the_image(tmp_path: Path) -> None:
    async def body(life: Life, layers: FakeLayers, service: CommitService) -> None:
        made = await service.commit("web", CommitRequest("mine"))
        await service.images.load_records()
        assert service.images.get(made).parent == service.images.resolve("demo").image_id
        await service.images.remove("mine")
        assert "image_parent" not in {kind for kind, _ in life.store.records}

    play(tmp_path, body)
