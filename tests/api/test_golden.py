"""The engine's answers, operation by operation, for each API version: ``golden/OPERATION.json``.

A case has one entry for each range of versions that answers alike. ``TIDEGATE_UPDATE=1`` writes the files anew. Every
answer that is JSON is held against the specification of its version, where that is at hand.
"""

import json
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import uvloop
from tests.api import specification
from tests.api.fake_engine import SECOND, Answer, FakeEngine, fake_engine
from tests.api.script import SCRIPT, Step
from tests.unit.engine.life import settle

from tidegate import __version__
from tidegate.base.host import go_architecture
from tidegate.spec.api_version import NEWEST, OLDEST, text
from tidegate.spec.catalogue import operation

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = [text((1, minor)) for minor in range(OLDEST[1], NEWEST[1] + 1)]
OPERATIONS = sorted({step.operation for step in SCRIPT})
_ID = re.compile(r"(?<!sha256:)(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_COUNTS = re.compile(r'"(NFd|NGoroutines)":\s*\d+')
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Told = dict[str, Sequence[tuple[Step, Answer]]]
"""By version."""
_SHOWN_HEADERS = ("content-type", "x-docker-container-path-stat", "upgrade")


class Plainer:
    """Takes what is random, and what is of this machine, out of an answer; ids are numbered as they come."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def text(self, text: str) -> str:
        for found in _ID.findall(text):
            self._ids.setdefault(found, f"<id {len(self._ids) + 1}>")
        for found, name in self._ids.items():
            text = text.replace(found, name).replace(found[:12], f"{name[:-1]}, short>")
        host = os.uname()
        for mine, name in (
            (host.release, "<kernel>"),
            (platform.python_version(), "<python>"),
            (f'"{__version__}"', '"<version>"'),
            (f'"{go_architecture(host.machine)}"', '"<architecture>"'),
        ):
            text = text.replace(mine, name)
        return _UUID.sub("<uuid>", _COUNTS.sub(r'"\1": 0', text))


async def converse(version: str, root: Path) -> Sequence[tuple[Step, Answer]]:
    """The whole script in one version."""
    told = []
    root.mkdir()
    async with fake_engine(root) as world:
        kept: dict[str, str] = {}
        for step in SCRIPT:
            world.wait(SECOND)
            if step.before:
                step.before(world)
                await settle()
            told.append((step, await _ask(world, version, step, kept)))
            if step.keep:
                kept[step.keep] = world.names[step.keep] = told[-1][1].document["Id"]
    return told


async def _ask(world: FakeEngine, version: str, step: Step, kept: dict[str, str]) -> Answer:
    path, mark, query = step.target.partition("?")
    target = f"/v{version}" + path.format(**kept) + mark + quote(query, safe="=&")
    try:
        return await world.ask(operation(step.operation).method, target, step.body, step.headers, then=step.then)
    except TimeoutError as error:
        raise AssertionError(f"no end of the answer: {step}") from error


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The conversations; once for all tests."""
    root = tmp_path_factory.mktemp("api")

    async def all_of_them() -> Told:
        return {version: await converse(version, root / version) for version in VERSIONS}

    return uvloop.run(all_of_them())


@pytest.fixture(scope="session")
def pages(told: Told) -> dict[str, Any]:
    """What the golden files should hold."""
    return golden(told)


def documents(answer: Answer) -> list[Any] | None:
    """The JSON documents of an answer, one to a line; None for what is not JSON."""
    if "json" not in answer.headers.get("content-type", ""):
        return None
    return [json.loads(line.strip("\x1e")) for line in answer.body.decode().splitlines() if line.strip("\x1e\r ")]


def shown(plainer: Plainer, answer: Answer) -> dict[str, Any]:
    """An answer as a golden file has it."""
    body: Any = documents(answer)
    if body is None:
        body = plainer.text(answer.body.decode("latin-1"))[:400]
    elif len(body) == 1:
        body = body[0]
    headers = {name: answer.headers[name] for name in _SHOWN_HEADERS if name in answer.headers}
    seen = {"status": answer.status, **headers, "body": body}
    return json.loads(plainer.text(json.dumps(seen)))


def golden(told: Told) -> dict[str, Any]:
    """Operation to case to range of versions to answer."""
    found: dict[str, Any] = {}
    for version, steps in told.items():
        plainer = Plainer()
        for step, answer in steps:
            ranges = found.setdefault(step.operation, {}).setdefault(step.case, [])
            seen = shown(plainer, answer)
            if ranges and ranges[-1][2] == seen:
                ranges[-1][1] = version
            else:
                ranges.append([version, version, seen])
    return {
        name: {case: {f"{first}-{last}": seen for first, last, seen in ranges} for case, ranges in cases.items()}
        for name, cases in found.items()
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_the_golden_ones(pages: dict[str, Any], name: str) -> None:
    page = json.dumps(pages[name], indent=1, ensure_ascii=True) + "\n"
    if os.environ.get("TIDEGATE_UPDATE"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / f"{name}.json").write_text(page)
    assert (GOLDEN / f"{name}.json").read_text() == page


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == OPERATIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_are_what_the_specification_says(told: Told, version: str) -> None:
    if not specification.is_here(version):
        pytest.skip(f"the specification of {version} is not beside this repository")
    wrong = set()
    for step, answer in told[version]:
        for document in documents(answer) or ():
            wrong |= set(specification.problems(version, step.operation, answer.status, document))
    assert not wrong, "\n".join(sorted(wrong))
