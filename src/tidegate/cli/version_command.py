"""``tidegate version``."""

import argparse
from importlib.metadata import version


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--short", action="store_true", help="the number only")


def run(args: argparse.Namespace) -> int:
    number = version("tidegate")
    print(number if args.short else f"tidegate {number}")
    return 0
