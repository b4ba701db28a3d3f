"""``python -I -S -m tidegate.shim --root DIR``: run the supervisor until it is told to shut down.

``--spares FD`` is a socket with the spares of a supervisor that was killed (``spares``), to go on with.
``--child-descriptors N`` is how many descriptors containers may open that have no limit of their own.
``--stall-limit S`` is how long an attached client may take no output before its container runs on without it.
"""

import os
import socket
import sys
from pathlib import Path

from tidegate.base.descriptors import raise_descriptor_limit
from tidegate.shim.keeper import Options, open_estate, supervise
from tidegate.shim.worker import Worker

STALL_LIMIT_S = "10"
_OPTIONS = frozenset({"--root", "--spares", "--child-descriptors", "--stall-limit"})


def read_options(words: list[str]) -> dict[str, str]:
    """Pairs of ``--NAME VALUE`` (argparse would stay in two processes for good). Exits with 2 for anything else."""
    given = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or "--root" not in given or not given.keys() <= _OPTIONS:
        sys.stderr.write(f"usage: tidegate.shim --root DIR, and any of {', '.join(sorted(_OPTIONS))} with a value\n")
        sys.exit(2)
    return given


def main() -> None:
    """Parse the command line and serve."""
    given = read_options(sys.argv[1:])
    root = Path(given["--root"])
    root.mkdir(parents=True, exist_ok=True, mode=0o711)
    os.umask(0o022)
    own_limit = raise_descriptor_limit()
    descriptors = int(given.get("--child-descriptors", own_limit))
    estate = open_estate(root, Options(descriptors, float(given.get("--stall-limit", STALL_LIMIT_S))))
    if "--spares" in given:
        with socket.socket(fileno=int(given["--spares"])) as link:
            while estate.spares.receive(link):
                pass
    supervise(estate, lambda inherited, link: Worker(inherited, link).serve())


if __name__ == "__main__":
    main()
