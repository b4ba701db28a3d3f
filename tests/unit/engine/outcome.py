"""What becomes of a document of create, from the request to what the runtime is told: everything that can differ."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from tests.fakes.filesystems import FakeStage

from tidegate.base.errors import NotFoundError
from tidegate.drivers.logs.forwarding.places import Places
from tidegate.drivers.logs.plans import LogPlanner
from tidegate.drivers.mounts.container_mounts import StagedMounts
from tidegate.drivers.oci.plan import ProcessPlanner
from tidegate.engine.creation.joining import resolve_joined
from tidegate.engine.creation.limits import plan_limits
from tidegate.engine.creation.plan import Defaults, Related, SourceImage, plan_new_container
from tidegate.engine.isolation.runtimes import Runtimes
from tidegate.engine.links.requested import resolve_links
from tidegate.engine.links.table import LinkTable
from tidegate.engine.mounts.volumes_from import inherit_mounts
from tidegate.engine.ports import BridgeAttachment
from tidegate.kernel.host import CgroupAbilities
from tidegate.kernel.seccomp.compiler import SeccompCompiler, SeccompProgram
from tidegate.model.container import Container
from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest

ABLE = CgroupAbilities(
    version="1", memory=True, swap=True, oom_kill_disable=True, cpu_quota=True, cpu_shares=True, cpu_set=True,
    pids=True, swappiness=True, block_weight=True, block_throttle=True, cpu_realtime=True, cpus="0-1", memory_nodes="0",
)  # fmt: skip


class Unfiltered(SeccompCompiler):
    """Knows of no profile: which filter a container gets is told by its capabilities."""

    def program(self, capabilities: Iterable[str], text: str = "") -> SeccompProgram:
        return SeccompProgram(",".join([text, *sorted(capabilities)]).encode())


def missing(name_or_id: str) -> Container:
    raise NotFoundError(f"No such container: {name_or_id}")


def missing_attachment(_container_id: str) -> None:
    return None


def outcome(document: Mapping[str, object], home: Path) -> object:
    """Everything that follows from a create and a start. Raises TidegateError for what is refused."""
    (home / "merged").mkdir(exist_ok=True, parents=True)
    request = decode(CreateRequest, json.dumps(document).encode())
    Runtimes().check(request.host_config.runtime)
    possible = plan_limits(request.host_config, ABLE)
    request = resolve_joined(msgspec.structs.replace(request, host_config=possible.host_config), missing)
    related = Related(inherit_mounts(request, missing), resolve_links(request.host_config, missing))
    image = {"Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}}}
    source = SourceImage(request.image, "sha256:1", (), image)
    new = plan_new_container("name", source, request, Defaults(cgroup_namespace="private"), related)
    settings = new.settings
    volumes = [
        (use.container_path, use.copy_up, use.anonymous, use.labels, use.driver_options) for use in settings.volumes
    ]
    container = Container("1" * 64, "name", 0, new.image, new.image_id, new.labels, new.document, settings)
    planner = ProcessPlanner(
        lambda _identity: home,
        StagedMounts(FakeStage(home), "6.12.0"),
        "tidegate",
        Unfiltered(),
        LogPlanner(lambda _identity: home, Places(home / "logs")),
        LinkTable(missing, list, missing_attachment),
        lambda: "172.17.0.1",
    )
    attachment = BridgeAttachment(container.id, "172.17.0.2", 16, "172.17.0.1", "02:42:ac:11:00:02", ())
    attached = attachment if settings.network == "bridge" else None
    process = asyncio.run(planner.container(container, home / "merged", "/netns", attached))
    files = {path.name: path.read_text() for path in home.iterdir() if path.is_file()}
    seen = msgspec.structs.replace(settings, volumes=())
    return (new.image, new.labels, new.rules, seen, volumes, possible.warnings, process, files)
