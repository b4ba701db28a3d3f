"""The real engine asked whatever the specification describes, right and wrong: no fault, no crash, nothing left.

``TIDEGATE_FUZZ_SECONDS`` is how long; what is asked is the same each time. The same requests
to the engine on fakes, many more of them: ``tests/fuzz/test_api_on_fakes.py``.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tests.api import specification
from tests.control_groups import groups_in
from tests.e2e.running_engine import RunningEngine, load_busybox, running_engine
from tests.fuzz.fuzzed_client import FuzzedClient, conversation_problems
from tests.fuzz.specified_requests import FuzzedRequest, requests

SECONDS = float(os.environ.get("TIDEGATE_FUZZ_SECONDS", "20"))
MOST_CONVERSATIONS = max(20, int(SECONDS * 4))
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(not specification.is_here(), reason="the specification is not beside this repository"),
    pytest.mark.timeout(int(SECONDS) + 300),
]


async def converse(engine: RunningEngine, asked: Sequence[FuzzedRequest]) -> list[str]:
    client = FuzzedClient(f"{engine.root}/docker.sock")
    await client.begin()
    problems = await conversation_problems(client, asked)
    await client.remove_all()
    return problems


def left(engine: RunningEngine) -> list[str]:
    """What containers leave, where there are none any more."""
    links = subprocess.run(
        ["nsenter", f"--net={engine.root}/netns", "ip", "-o", "link"], capture_output=True, text=True, check=True
    ).stdout
    pid = engine.children()["engine"]
    mounts = Path(f"/proc/{pid}/mountinfo").read_text()
    return [
        *(f"left: {path}" for path in groups_in(engine.name)),
        *(f"left: {line}" for line in links.splitlines() if "veth" in line),
        *(f"left: {line}" for line in mounts.splitlines() if f"{engine.root}/data/rootfs/" in line),
        *(f"left: {path}" for path in Path(engine.root, "data/rootfs").iterdir()),
    ]


def test_no_conversation_has_a_fault_and_nothing_is_left(tmp_path: Path) -> None:
    deadline = time.monotonic() + SECONDS
    with running_engine() as engine:
        first = engine.children()["engine"]

        @seed(2376)
        @settings(
            max_examples=MOST_CONVERSATIONS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(requests(str(tmp_path)), min_size=5, max_size=20))
        def talk(asked: list[FuzzedRequest]) -> None:
            if time.monotonic() < deadline:
                load_busybox(engine)
                assert asyncio.run(converse(engine, asked)) == []

        talk()
        assert engine.children()["engine"] == first, "the engine has ended"
        assert "unexpected fault" not in (engine.root / "log").read_text()
        assert left(engine) == []
