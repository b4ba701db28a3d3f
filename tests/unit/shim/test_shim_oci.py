"""crun's complaints in Docker's wording, from which the docker CLI reads exit codes; crun of Debian 12 and of 13."""

import pytest

from tidegate.base.errors import InternalError, InvalidParameterError, UnavailableError
from tidegate.shim.oci import KILLED, start_error


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        (
            "executable file `nosuch` not found in $PATH: No such file or directory",
            "executable file not found in \\$PATH",
        ),
        ("executable file `/nosuch` not found: No such file or directory", r"executable file not found in \$PATH"),
        ("open executable: Operation not permitted", "is a directory: permission denied"),
        ("the path `/etc` is not a regular file: Operation not permitted", "is a directory: permission denied"),
        ("open executable: Permission denied", "permission denied"),
        ("the path `/file` exists but it is not executable: Operation not permitted", "`/file` .*: permission denied"),
        ("exec container process `/garbage`: Exec format error", "exec format error"),
        (
            "exec container process (missing dynamic library?) `/a`: No such file or directory",
            "no such file or directory",
        ),
        ("writing file `cpuset.cpus`: Numerical result out of range", "refuses a limit: .*`cpuset.cpus`"),
        ("write file `cpuset.cpus`: Numerical result out of range", "refuses a limit: .*`cpuset.cpus`"),
    ],
)
def test_what_the_client_asked_for_cannot_be_started(complaint: str, words: str) -> None:
    error = start_error(f"a warning before\n{complaint}\n", "run", 1)
    assert isinstance(error, InvalidParameterError)
    with pytest.raises(InvalidParameterError, match=f"failed to create task for container: .*{words}"):
        raise error


def test_anything_else_is_the_engine_s_own_fault() -> None:
    assert (
        start_error("cannot set up a namespace", "exec", 1).message
        == "OCI runtime exec failed: cannot set up a namespace"
    )
    assert isinstance(start_error("", "run", 1), InternalError)


def test_a_crun_that_was_killed_is_no_fault_of_the_command() -> None:
    assert isinstance(start_error("", "run", KILLED), UnavailableError)
    assert isinstance(start_error("cannot do it\n", "run", KILLED), InternalError)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('exec: \\"nope\\": executable file not found in $PATH', "executable file not found"),
        ('exec: \\"/etc\\": permission denied', "permission denied"),
        ('exec: \\"/nope\\": stat /nope: no such file or directory', "no such file or directory"),
    ],
)
def test_runc_s_complaints_are_read_out_of_its_log(said: str, kind: str) -> None:
    line = f'time="2026-01-01T00:00:00Z" level=error msg="runc run failed: unable to start container process: {said}"'
    error = start_error(line, "run", 1)
    assert isinstance(error, InvalidParameterError)
    assert kind in error.message and "level=error" not in error.message
