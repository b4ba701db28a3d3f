"""SIGHUP, as the parent of all processes answers it: read all, have everyone agree, and only then change anything.

Whatever is wrong with the new file leaves all as it was, and is logged: a front door that is open is worth more.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence

import msgspec

from tidegate.base.errors import TidegateError, UnavailableError
from tidegate.base.logs import set_level
from tidegate.base.reload_link import Commit, Prepare, ReloadedChild
from tidegate.cli.up_settings import GATE_SOCKET, engine_settings, log_level
from tidegate.daemon.config import DaemonConfig
from tidegate.daemon.process_settings import encode_settings
from tidegate.daemon.reload import ReloadPlan, plan_reload, shown

_log = logging.getLogger("tidegate")


class ReloadedProcess(msgspec.Struct, frozen=True):
    """A child, and what of a configuration it is told; ``document`` raises InvalidParameterError."""

    child: ReloadedChild
    document: Callable[[DaemonConfig], bytes]


class Reloading:
    """Of the processes that run by ``config``; ``read`` is the file as it is by then, with the flags of the start.

    ``prepare`` is what this process has to change in itself.
    """

    def __init__(
        self,
        config: DaemonConfig,
        read: Callable[[], DaemonConfig],
        processes: Sequence[ReloadedProcess],
        prepare: Callable[[DaemonConfig], Commit],
    ) -> None:
        self.config = config
        self._read = read
        self._processes = processes
        self._prepare = prepare
        self._one = asyncio.Lock()

    async def reload(self) -> bool:
        """Whether the new configuration holds; one reload at a time."""
        async with self._one:
            try:
                plan = plan_reload(self.config, await asyncio.to_thread(self._read))
                commit = self._prepare(plan.config)
                await self._agree(plan.config)
            except (TidegateError, OSError) as error:
                _log.error("the configuration is not reloaded, and nothing has changed: %s", error)
                return False
            commit()
            for process in self._processes:
                _told(process.child.commit)
            self.config = plan.config
            _tell(plan)
            return True

    async def _agree(self, config: DaemonConfig) -> None:
        """Raises when one cannot go on with it; nobody will then."""
        documents = [(each.child, each.document(config)) for each in self._processes]
        ready = []
        try:
            for child, document in documents:
                await child.prepare(document)
                ready.append(child)
        except TidegateError:
            for child in ready:
                _told(child.abort)
            raise


class ReloadingItself:
    """Of a process that has no parent: SIGHUP is its own, and what it is told comes from itself. Fits ``Reloads``."""

    def __init__(self, config: DaemonConfig, read: Callable[[], DaemonConfig], prepare: Prepare) -> None:
        self._reloading = Reloading(config, read, [], lambda wanted: prepare(engine_document(wanted)))
        self._reloads: set[asyncio.Task[bool]] = set()

    def listen(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._begin)

    def close(self) -> None:
        for reload in self._reloads:
            reload.cancel()

    def _begin(self) -> None:
        reload = asyncio.create_task(self._reloading.reload(), name="reload")
        self._reloads.add(reload)
        reload.add_done_callback(self._reloads.discard)


def engine_document(config: DaemonConfig) -> bytes:
    """What the engine is told. Raises InvalidParameterError."""
    return encode_settings(engine_settings(config, config.exec_root / GATE_SOCKET, None)).encode()


def prepare_level(config: DaemonConfig) -> Commit:
    """Of a process that has nothing else to change."""
    return lambda: set_level(log_level(config.settings))


def _told(tell: Callable[[], None]) -> None:
    try:
        tell()
    except UnavailableError as error:
        _log.warning("%s", error.message)  # its end ends everything, by its pidfd


def _tell(plan: ReloadPlan) -> None:
    for warning in plan.warnings:
        _log.warning("%s", warning)
    for name in plan.pending:
        text = "%s: was changed in the configuration, and needs a restart to take effect"
        _log.warning(text, name, extra={"fields": {"setting": name}})
    _log.info("Reloaded configuration: %s", shown(plan.config.settings))
