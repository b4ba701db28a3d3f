"""Whatever is asked as the specification describes it, right or wrong: no fault, no unknown answer, nothing is
left. ``TIDEGATE_FUZZ_EXAMPLES`` is how many conversations; the real engine is in ``tests/e2e/test_fuzzed_api.py``.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api import specification
from tests.api.fake_engine import FakeEngine, fake_engine
from tests.fuzz.fuzzed_client import FuzzedClient, conversation_problems
from tests.fuzz.specified_requests import FuzzedRequest, requests

EXAMPLES = int(os.environ.get("TIDEGATE_FUZZ_EXAMPLES", "60"))
pytestmark = pytest.mark.skipif(not specification.is_here(), reason="the specification is not beside this repository")


async def converse(asked: Sequence[FuzzedRequest], root: Path) -> list[str]:
    async with fake_engine(root) as world:
        world.registry.put_image("docker.io/library/busybox", "latest", ["b"])
        client = FuzzedClient(str(root / "sock"))
        await world.ask("POST", "/images/create?fromImage=demo&tag=latest")
        await world.ask("POST", "/images/demo/tag?repo=busybox&tag=latest")
        await client.begin()
        problems = await conversation_problems(client, asked)
        world.runtime.deadly = {9, 15}
        await client.remove_all()
        problems += left(world)
    tasks = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    return problems + [f"left: {name}" for name in tasks]


def left(world: FakeEngine) -> list[str]:
    """What a container leaves, where there is none any more."""
    things = {
        "process": world.runtime.created, "namespace": world.bridge.isolated, "attachment": world.bridge.attached,
        "handle": world.bridge.open_handles, "root filesystem": world.rootfs.prepared, "mount": world.rootfs.mounted,
        "hold": world.files.held,
        "record": [key for kind, key in world.state.records if kind in ("container", "attachment")],
    }  # fmt: skip
    return [f"left: {what} {list(found)}" for what, found in things.items() if found]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.lists(requests("/own"), min_size=3, max_size=30))
def test_no_conversation_has_a_fault_or_leaves_anything(asked: list[FuzzedRequest]) -> None:
    with tempfile.TemporaryDirectory() as place:
        assert uvloop.run(converse(asked, Path(place))) == []
