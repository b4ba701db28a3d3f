"""Execs on fakes."""

import asyncio

import pytest
from tests.fakes.runtime import not_found_in_path
from tests.unit.engine.containers.test_service import play, started
from tests.unit.engine.life import Life, settle

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.engine.execs import ExecPhase, ExecService
from tidegate.engine.ports import ExecProcess, Stdio
from tidegate.model.container import Container


def plan(container: Container, exec_id: str, document: bytes) -> ExecProcess:
    return ExecProcess(container.id, exec_id, {"args": document.decode().split()}, Stdio())


def test_an_exec_runs_and_its_exit_code_is_kept() -> None:
    async def body(life: Life) -> None:
        identity = await started(life)
        execs = ExecService(life.runtime, life.service, plan)
        chosen = execs.create("web", b"echo hi")
        stream = await execs.start(chosen)
        assert stream is not None
        life.runtime.streams[0].chunks.append(b"hi")
        assert await stream.read() == b"hi"
        end = asyncio.create_task(stream.read())
        await settle()
        assert not end.done()  # the exit code is not known yet, and the client would ask for it
        assert execs.of_container(identity) == [chosen] and execs.inspect(chosen).pid
        await execs.resize(chosen, 24, 80)
        life.runtime.exit(identity, 7, chosen)
        assert await end == b""
        assert (execs.inspect(chosen).phase, execs.inspect(chosen).exit_code) == (ExecPhase.EXITED, 7)
        assert (identity, chosen) in life.runtime.created  # the supervisor keeps it while a client may still read
        await stream.close()
        await settle()
        assert (identity, chosen) not in life.runtime.created
        assert life.actions()[-3:] == ["exec_create: echo hi", "exec_start: echo hi", "exec_die"]
        with pytest.raises(ConflictError, match="already run"):
            await execs.start(chosen)
        with pytest.raises(ConflictError):
            await execs.resize(chosen, 1, 1)

    play(body)


def test_a_command_not_found_is_127_and_released() -> None:
    async def body(life: Life) -> None:
        identity = await started(life)
        execs = ExecService(life.runtime, life.service, plan)
        chosen = execs.create("web", b"nope")
        life.runtime.start_error = not_found_in_path("nope")
        with pytest.raises(InvalidParameterError):
            await execs.start(chosen)
        assert execs.inspect(chosen).exit_code == 127 and life.runtime.streams[0].closed
        assert life.runtime.calls[-1] == ("exec_release", identity, chosen)

    play(body)


def test_what_cannot_run_an_exec_says_so() -> None:
    async def body(life: Life) -> None:
        await started(life)
        execs = ExecService(life.runtime, life.service, plan)
        await life.service.pause("web")
        with pytest.raises(ConflictError, match="is paused, unpause the container before exec"):
            execs.create("web", b"x")
        await life.service.kill("web")
        with pytest.raises(ConflictError, match="is not running"):
            execs.create("web", b"x")
        with pytest.raises(NotFoundError, match="No such exec instance: abc"):
            execs.inspect("abc")

    play(body)
