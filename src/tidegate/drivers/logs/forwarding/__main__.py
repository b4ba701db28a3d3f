"""``python -m tidegate.drivers.logs.forwarding --root DIR``: send the logs of DIR (``places``) to their remotes."""

import argparse
import asyncio
import logging
from pathlib import Path

from tidegate.base.descriptors import raise_descriptor_limit
from tidegate.drivers.logs.forwarding.forwarder import Forwarder
from tidegate.drivers.logs.forwarding.places import Places


def main() -> None:
    """Until there is nothing to do; at once when another forwarder does it."""
    parser = argparse.ArgumentParser(prog="tidegate-forwarder")
    parser.add_argument("--root", required=True, type=Path)
    places = Places(parser.parse_args().root)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s forwarder %(message)s")
    Path("/proc/self/comm").write_text("tidegate-forward")
    raise_descriptor_limit()
    places.make()
    asyncio.run(Forwarder(places).run())


if __name__ == "__main__":
    main()
