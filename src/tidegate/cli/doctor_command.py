"""``tidegate doctor``: this host as an attacker would look at it; with ``--connect``, a connection that does not work.

It ends with 0 when nothing was found, 1 with findings, 2 when something could not be looked at.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.certificate_arguments import DEFAULT_DATA_ROOT

if TYPE_CHECKING:
    from tidegate.cli.doctor.findings import Report

_SEVERITIES = ("info", "low", "medium", "high", "critical")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--fail-on", choices=_SEVERITIES, default="low", help="findings of less do not end with 1 (default low)"
    )
    parser.add_argument(
        "--data-root",
        type=Path,
        action="append",
        metavar="DIR",
        help=f"a data root of Tidegate (many times; default {DEFAULT_DATA_ROOT} and those of engines that run)",
    )


def run(args: argparse.Namespace) -> int:
    return _look_at_host(args)


def _look_at_host(args: argparse.Namespace) -> int:
    from tidegate.cli.doctor.findings import Severity
    from tidegate.cli.doctor.host import Host
    from tidegate.cli.doctor.rounds import look_at_host

    report = look_at_host(Host(), args.data_root or [])
    if args.json:
        print(json.dumps(_as_json(report), indent=2))
    else:
        _print(report)
    return report.exit_code(Severity[args.fail_on.upper()])


def _as_json(report: "Report") -> dict[str, object]:
    return {
        "findings": [finding.as_json() for finding in report.worst_first()],
        "looked_at": report.looked_at,
        "not_looked_at": report.not_looked_at,
    }


def _print(report: "Report") -> None:
    for finding in report.worst_first():
        print(f"{finding.severity.name} {finding.id}: {finding.where}")
        print(f"    {finding.what}.")
        print(f"    Mend: {finding.mend}.")
    for reason in report.not_looked_at:
        print(f"could not look at {reason}")
    count = len(report.findings)
    print(f"{count} finding{'' if count == 1 else 's'}; looked at {', '.join(report.looked_at)}")
