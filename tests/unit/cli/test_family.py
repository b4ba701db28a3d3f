"""Children of a family: real forks of a small parent, which pytest must not become."""

import subprocess
import sys
import textwrap

PARENT = """
import asyncio, os, signal, sys, time
from tidegate.base.errors import InvalidParameterError
from tidegate.cli.family import Family, check_apart

family = Family()

def live(seconds=60):
    time.sleep(seconds)

async def serve_until(stop):
    print("serving", flush=True)
    await stop.wait()
    print("no child is left:", not family._children, flush=True)

async def fail(stop):
    raise InvalidParameterError("the files are bad")

async def start_and_end_a_process(stop):
    process = await asyncio.create_subprocess_exec("true")
    print("a process of its own ended with", await process.wait(), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()

with family.until_its_end(None):
"""


def told_by(story: str) -> list[str]:
    """What the parent of ``story`` printed, and its exit code."""
    source = PARENT + textwrap.indent(textwrap.dedent(story), "    ")
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=False)
    return [*done.stdout.splitlines(), *done.stderr.splitlines()[-1:], str(done.returncode)]


def test_a_family_that_is_asked_to_ends_its_children_before_what_it_serves() -> None:
    story = """
        family.start("one", live)
        family.start("two", live)
        os.kill(os.getpid(), signal.SIGTERM)  # blocked until the family waits
        sys.exit(family.wait(serve_until))
    """
    assert told_by(story) == ["serving", "no child is left: True", "0"]


def test_a_child_that_ends_ends_the_family() -> None:
    story = """
        family.start("one", live)
        family.start("two", lambda: live(0))
        sys.exit(family.wait(serve_until))
    """
    assert told_by(story) == ["serving", "no child is left: True", "1"]


def test_the_end_of_an_expendable_child_is_told_and_ends_nothing() -> None:
    story = """
        family.start("decoy", lambda: live(0), expendable=True)
        family.start("one", lambda: live(0.3))
        sys.exit(family.wait(serve_until))
    """
    told = told_by(story)
    assert told == ["serving", "no child is left: True", "decoy has ended; the others go on without it", "1"]


def test_a_hangup_reloads_and_children_do_not_notice_it() -> None:
    story = """
        link = family.reload_link()

        def live_on():
            os.kill(os.getpid(), signal.SIGHUP)
            link.theirs.send(b"alive")
            live()

        async def reload():
            print("reloading, a child is", link.ours.recv(9).decode(), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

        family.start("one", live_on, keep=[link.theirs])
        family.start("two", lambda: (link.ours.fileno() >= 0 and os._exit(1), live()))
        family.release(keep=[])
        os.kill(os.getpid(), signal.SIGHUP)  # blocked until the family waits
        sys.exit(family.wait(serve_until, reload))
    """
    assert told_by(story) == ["serving", "reloading, a child is alive", "no child is left: True", "0"]


def test_what_is_served_and_fails_ends_the_children() -> None:
    story = """
        family.start("one", live)
        try:
            family.wait(fail)
        except InvalidParameterError as error:
            print(error.message, "and no child is left:", not family._children)
    """
    assert told_by(story) == ["the files are bad and no child is left: True", "0"]


def test_what_is_served_may_start_processes_of_its_own() -> None:
    story = """
        family.start("one", live)
        sys.exit(family.wait(start_and_end_a_process))
    """
    assert told_by(story) == ["a process of its own ended with 0", "0"]


def test_what_is_checked_apart_is_complained_of_here() -> None:
    story = """
        def complain():
            raise InvalidParameterError("the key is not the certificate's")

        check_apart(lambda: print("checked", flush=True))
        try:
            check_apart(complain)
        except InvalidParameterError as error:
            print(error.message)
    """
    assert told_by(story) == ["checked", "the key is not the certificate's", "0"]


def test_a_check_that_breaks_is_not_a_check_that_passed() -> None:
    told = told_by("check_apart(lambda: 1 / 0)")
    assert "InternalError: the files could not be checked; the reason is above" in told[-2]
    assert told[-1] == "1"
