"""What is executed is a sealed copy, made once, of what PATH holds now."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tidegate.base.errors import NotFoundError
from tidegate.shim.sealed_program import SealedProgram


def output_of(program: SealedProgram, command: Sequence[str]) -> str:
    """As the shim does it: refresh, fork, execute."""
    program.refresh()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(write_end, 1)
            program.execute(command)
        finally:
            os._exit(127)
    os.close(write_end)
    with os.fdopen(read_end) as output:
        text = output.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text.strip()


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def place(source: str, target: Path) -> None:
    shutil.copy(source, target.with_suffix(".new"))
    target.with_suffix(".new").rename(target)


def test_it_runs_from_a_copy_that_nobody_can_write_to(directory: Path) -> None:
    place("/bin/readlink", directory / "it")
    program = SealedProgram("it")
    assert output_of(program, ["readlink", "/proc/self/exe"]).startswith("/memfd:crun")
    (directory / "it").unlink()
    with pytest.raises(NotFoundError, match="it is not installed"):
        program.refresh()


def test_a_replaced_file_is_copied_anew(directory: Path) -> None:
    place("/bin/echo", directory / "it")
    program = SealedProgram("it")
    assert output_of(program, ["it", "/proc/self/exe"]) == "/proc/self/exe"
    place("/bin/readlink", directory / "it")
    assert output_of(program, ["it", "/proc/self/exe"]).startswith("/memfd:crun")


def test_a_script_is_executed_where_it_lies(directory: Path) -> None:
    script = directory / "it"
    script.write_text("#!/bin/sh\necho script $1\n")
    script.chmod(0o755)
    assert output_of(SealedProgram("it"), ["it", "x"]) == "script x"
