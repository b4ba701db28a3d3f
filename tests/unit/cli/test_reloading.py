"""SIGHUP: everyone agrees, or nothing changes."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from tidegate.base.errors import InvalidParameterError
from tidegate.base.reload_link import Commit, ReloadedChild, ReloadingChild, reload_link
from tidegate.cli.reloading import ReloadedProcess, Reloading, ReloadingItself
from tidegate.daemon.config import DaemonConfig, decide_config
from tidegate.daemon.process_settings import EngineProcessSettings, decode_settings


def reloaded(read: Callable[[], DaemonConfig], stubborn: str = "") -> tuple[list[bool], list[str], DaemonConfig]:
    """Whether a reload succeeded, twice, who has changed what, and what holds; ``stubborn`` refuses every change."""
    done: list[str] = []

    def judge(name: str, document: bytes) -> Commit:
        if name == stubborn:
            raise InvalidParameterError("not me")
        return lambda: done.append(f"{name} {document.decode()}")

    def prepare(config: DaemonConfig) -> Commit:
        return judge("parent", str(config.settings.get("labels")).encode())

    async def play() -> tuple[list[bool], DaemonConfig]:
        processes, children = [], []
        for name in ("engine", "gate"):
            ours, theirs = reload_link()
            children.append(ReloadingChild(theirs, lambda document, name=name: judge(name, document)))  # type: ignore[misc]
            children[-1].listen()
            document = lambda config: str(config.settings.get("labels")).encode()  # noqa: E731
            processes.append(ReloadedProcess(ReloadedChild(name, ours), document))
        reloading = Reloading(decide_config({}, {"labels": ["a=1"]}), read, processes, prepare)
        succeeded = [await reloading.reload() for _ in range(2)]
        for _ in range(5):
            await asyncio.sleep(0)
        for child in children:
            child.close()
        return succeeded, reloading.config

    succeeded, config = asyncio.run(play())
    return succeeded, done, config


def file(values: dict[str, Any]) -> Callable[[], DaemonConfig]:
    return lambda: decide_config({}, values)


def test_everyone_changes() -> None:
    succeeded, done, config = reloaded(file({"labels": ["b=2"]}))
    assert succeeded == [True, True]
    assert sorted(set(done)) == ["engine ['b=2']", "gate ['b=2']", "parent ['b=2']"]
    assert config.settings == {"labels": ["b=2"]}


def test_one_that_cannot_keeps_all_as_it_was() -> None:
    for stubborn in ("parent", "engine", "gate"):
        succeeded, done, config = reloaded(file({"labels": ["b=2"]}), stubborn)
        assert (succeeded, done, config.settings) == ([False, False], [], {"labels": ["a=1"]})


def test_a_file_that_cannot_be_used_changes_nothing() -> None:
    succeeded, done, _ = reloaded(file({"log-level": "loud"}))
    assert (succeeded, done) == ([False, False], [])

    def missing() -> DaemonConfig:
        raise FileNotFoundError("daemon.json")

    assert reloaded(missing)[:2] == ([False, False], [])


def test_a_process_without_a_parent_answers_the_signal_itself() -> None:
    done: list[EngineProcessSettings] = []

    def prepare(document: bytes) -> Commit:
        settings = decode_settings(document.decode())
        return lambda: done.append(settings)

    async def play() -> None:
        reloading = ReloadingItself(decide_config({}, {}), file({"labels": ["b=2"]}), prepare)
        reloading.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            while not done:
                await asyncio.sleep(0)
        reloading.close()

    asyncio.run(play())
    assert [settings.labels for settings in done] == [("b=2",)]
