"""A key and its certificate are replaced in one instant: under readers, and whenever the writer is killed."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tidegate.pki.context_archive import TLSMaterial
from tidegate.pki.docker_contexts import DockerContext
from tidegate.pki.durable_files import write_together
from tidegate.pki.paired_files import replace_linked

NAMES = ("ca.pem", "cert.pem", "key.pem")


def files(number: int) -> dict[str, tuple[bytes, int]]:
    return {name: (f"{name} {number}".encode(), 0o600 if name == "key.pem" else 0o644) for name in NAMES}


def material(number: int) -> TLSMaterial:
    return TLSMaterial(*(f"{name} {number}".encode() for name in NAMES))


class Linked:
    """A directory with other files in it, of a client that joined before there were links."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "docker"
        self.directory.mkdir()
        self.mark = self.directory / ".certificates"
        write_together(self.directory, files(0))
        (self.directory / "config.json").write_text("{}")

    def replace(self, number: int) -> None:
        replace_linked(self.directory, files(number))

    def instant(self) -> object:
        """What changes when the pair does."""
        return self.mark.readlink() if self.mark.is_symlink() else ""


class Context:
    """A context of the docker CLI."""

    def __init__(self, root: Path) -> None:
        self._context = DockerContext(root, "far")
        self._context.create("tcp://h:2376", material(0))
        self.directory = self._context.tls_directory

    def replace(self, number: int) -> None:
        self._context.replace_tls(material(number))

    def instant(self) -> object:
        return self.directory.stat().st_ino


Place = Linked | Context


@pytest.fixture(params=[Linked, Context])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made: Place = request.param(tmp_path)
    return made


def read(place: Place) -> set[str]:
    """The numbers in the three files, read as a client reads them: by path, one after another."""
    return {(place.directory / name).read_text().split()[1] for name in NAMES}


def test_all_three_are_replaced_with_their_modes(place: Place) -> None:
    for number in range(1, 4):
        place.replace(number)
        assert read(place) == {str(number)}
    assert (place.directory / "key.pem").stat().st_mode & 0o777 == 0o600


def test_what_else_is_there_stays_and_old_keys_do_not_pile_up(tmp_path: Path) -> None:
    place = Linked(tmp_path)
    for number in range(1, 6):
        place.replace(number)
    generations = [path for path in place.directory.iterdir() if path.name.startswith(".certificates.")]
    assert len(generations) == 2
    assert (place.directory / "config.json").read_text() == "{}"
    context = Context(tmp_path)
    context.replace(1)
    assert sorted(path.name for path in context.directory.parent.parent.iterdir()) == [context.directory.parent.name]
    assert sorted(path.name for path in context.directory.iterdir()) == list(NAMES)


def test_files_that_were_written_over_the_links_are_taken_up(tmp_path: Path) -> None:
    place = Linked(tmp_path)
    place.replace(1)
    write_together(place.directory, files(2))
    assert read(place) == {"2"}
    place.replace(3)
    assert read(place) == {"3"}


def test_readers_find_a_pair_at_every_instant_and_a_killed_writer_leaves_one(place: Place) -> None:
    """A writer that replaces without pause and is killed at odd moments, thirty times over."""
    looks = 0
    for kills in range(30):
        with replacing(place):
            until_s = time.monotonic() + 0.002 + kills % 7 * 0.003
            while time.monotonic() < until_s:
                before = place.instant()
                found = read(place)
                if place.instant() == before:  # else the one instant lay between two of the files
                    assert len(found) == 1
                    looks += 1
        assert len(read(place)) == 1
    assert looks > 30
    place.replace(1)
    assert read(place) == {"1"}


@contextlib.contextmanager
def replacing(place: Place) -> Iterator[None]:
    """Another process replaces meanwhile, and is killed at the end."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            for number in count(os.getpid() << 20):
                place.replace(number)
        os._exit(1)
    yield
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
