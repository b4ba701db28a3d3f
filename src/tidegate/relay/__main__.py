"""``python -I -S -m tidegate.relay --root DIR``: serve ``DIR/control.sock`` until the last port is withdrawn."""

import argparse
import asyncio
import os
import socket
from pathlib import Path

from tidegate.base.descriptors import raise_descriptor_limit
from tidegate.relay.server import Relay

NOBODY = 65534


def main() -> None:
    """Listen, then give up root: strangers speak to this process, and it needs no rights."""
    parser = argparse.ArgumentParser(prog="tidegate.relay")
    parser.add_argument("--root", required=True, type=Path)
    root: Path = parser.parse_args().root
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    raise_descriptor_limit()
    path = root / "control.sock"
    path.unlink(missing_ok=True)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.bind(str(path))
    control.listen(8)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    asyncio.run(Relay(control).serve())


if __name__ == "__main__":
    main()
