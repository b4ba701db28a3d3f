"""The confined child that compares layers: ``python -I -m tidegate.drivers.files.layer_child REQUEST``.

REQUEST is JSON: ``operation`` (changes, diff), ``upper`` and ``lowers``, topmost first. The directories are opened,
then the child's root is the upper one, and of its capabilities two are left: to read what belongs to others, and
CAP_SYS_ADMIN, without which the kernel does not show overlayfs's own attributes.

The answer is a line of JSON as in ``child``. After it, ``changes`` sends a line for each difference, and ``diff`` the
layer as a tar, with whiteouts.
"""

# Names in directories that are open already, which pathlib has no calls for.
# ruff: noqa: PTH118, PTH119, PTH120

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.base.descriptors import raise_descriptor_limit
from tidegate.drivers.confinement import CAP_SYS_ADMIN, CAPABILITIES, enter_root, give_up_privileges
from tidegate.drivers.files.layer_comparison import DELETED, Difference, compare
from tidegate.drivers.files.tar_writer import PlainOutput, TarWriter
from tidegate.kernel.paths import open_in_root_fd

_STDOUT = 1
_DEEPEST_DIRECTORY = 4096
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def perform(request: Mapping[str, Any]) -> None:
    """Raises OSError."""
    raise_descriptor_limit()  # one for each layer and level
    sys.setrecursionlimit(2 * _DEEPEST_DIRECTORY)
    upper_fd = os.open(request["upper"], _OPEN_DIRECTORY)
    lower_fds = [os.open(path, _OPEN_DIRECTORY) for path in request["lowers"]]
    enter_root(upper_fd)
    give_up_privileges((CAPABILITIES["DAC_OVERRIDE"], CAP_SYS_ADMIN))
    differences = compare(upper_fd, lower_fds)
    output = PlainOutput(_STDOUT)
    output.write(b"{}\n")
    if request["operation"] == "diff":
        write_layer(upper_fd, differences, TarWriter(output))
        return
    for start in range(0, len(differences), 1000):
        lines = [json.dumps(each) for each in differences[start : start + 1000]]
        output.write("".join(f"{line}\n" for line in lines).encode())


def write_layer(upper_fd: int, differences: Sequence[Difference], writer: TarWriter) -> None:
    """The differences as a layer: a directory before what is in it, a whiteout for what was deleted."""
    for path, kind in differences:
        parent, name = os.path.split(path)
        if kind == DELETED:
            writer.add_marker(f"{parent}/.wh.{name}".lstrip("/"))
            continue
        try:
            parent_fd = open_in_root_fd(upper_fd, parent, _OPEN_DIRECTORY | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            continue  # the container runs, and took it away
        try:
            writer.add_entry(parent_fd, name, path.lstrip("/"))
        except FileNotFoundError:
            continue
        finally:
            os.close(parent_fd)
    writer.finish()


def main(arguments: list[str]) -> int:
    for encoding in ("utf-8", "ascii"):
        "".encode(encoding)  # loads the codec while its module can still be found
    try:
        perform(json.loads(arguments[0]))
    except OSError as error:
        PlainOutput(_STDOUT).write(json.dumps({"error": str(error), "kind": "host"}).encode() + b"\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
