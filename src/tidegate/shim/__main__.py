"""``python -I -S -m tidegate.shim --root DIR``: run the supervisor until it is told to shut down."""

import argparse
import os
from pathlib import Path

from tidegate.shim.keeper import Keeper
from tidegate.shim.worker import Worker


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="tidegate.shim")
    parser.add_argument("--root", required=True, type=Path)
    root: Path = parser.parse_args().root
    root.mkdir(parents=True, exist_ok=True, mode=0o711)
    os.umask(0o022)
    Keeper(root).run(lambda link, listener, kept: Worker(root, link, listener, kept).serve())


if __name__ == "__main__":
    main()
