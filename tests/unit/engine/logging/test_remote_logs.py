"""When containers hand over their remote logs: before they run, when they ended, when they are gone, and at boot."""

from pathlib import Path

from msgspec.structs import replace
from tests.unit.drivers.logs.remote_logs import remote_log
from tests.unit.engine import life as lives
from tests.unit.engine.containers.test_service import play, started
from tests.unit.engine.life import Life, settle

from tidegate.engine.ports import BridgeAttachment, ContainerProcess
from tidegate.model.container import Container


async def plan(
    container: Container, rootfs: Path, netns_path: str | None, attachment: BridgeAttachment | None
) -> ContainerProcess:
    process = await lives.plan(container, rootfs, netns_path, attachment)
    assert process.log is not None
    return replace(process, log=replace(process.log, remote=replace(remote_log(), container_id=container.id)))


def test_a_remote_log_begins_ends_and_goes_with_its_container() -> None:
    async def body(life: Life) -> None:
        life.plan = plan
        await life.reboot()
        identity = await started(life)
        assert life.remote_logs.stages == {identity: "running"}
        life.runtime.exit(identity, 0)
        await settle()
        assert life.remote_logs.stages == {identity: "ended"}
        await life.service.start(identity)
        assert life.remote_logs.stages == {identity: "running"}
        await life.service.remove(identity, force=True)
        assert life.remote_logs.stages == {identity: "removed"}

    play(body)


def test_what_is_left_of_a_container_that_is_not_on_record_goes_at_boot() -> None:
    async def body(life: Life) -> None:
        await life.remote_logs.begin(remote_log(), Path("/log"))
        await life.reboot()
        assert life.remote_logs.stages == {remote_log().container_id: "removed"}

    play(body)
