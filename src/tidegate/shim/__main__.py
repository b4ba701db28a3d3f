"""``python -I -S -m tidegate.shim --root DIR``: run the supervisor until it is told to shut down.

``--spares FD`` is a socket with the spares of a supervisor that was killed (``spares``), to go on with.
``--child-descriptors N`` is how many descriptors containers may open that have no limit of their own.
``--stall-limit S`` is how long an attached client may take no output before its container runs on without it.
"""

import argparse
import os
import socket
from pathlib import Path

from tidegate.base.descriptors import raise_descriptor_limit
from tidegate.shim.keeper import Options, open_estate, supervise
from tidegate.shim.worker import Worker

STALL_LIMIT_S = 10.0


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="tidegate.shim")
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--spares", type=int)
    parser.add_argument("--child-descriptors", type=int)
    parser.add_argument("--stall-limit", type=float, default=STALL_LIMIT_S)
    arguments = parser.parse_args()
    root: Path = arguments.root
    root.mkdir(parents=True, exist_ok=True, mode=0o711)
    os.umask(0o022)
    own_limit = raise_descriptor_limit()
    estate = open_estate(root, Options(arguments.child_descriptors or own_limit, arguments.stall_limit))
    if arguments.spares is not None:
        with socket.socket(fileno=arguments.spares) as link:
            while estate.spares.receive(link):
                pass
    supervise(estate, lambda inherited, link: Worker(inherited, link).serve())


if __name__ == "__main__":
    main()
