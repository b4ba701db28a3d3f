"""``tidegate doctor``: this host as an attacker would look at it; with ``--connect``, a connection that does not work.

It ends with 0 when nothing was found, 1 with findings, 2 when something could not be looked at.
"""

import argparse
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.base.errors import InvalidParameterError
from tidegate.cli.certificate_arguments import DEFAULT_DATA_ROOT

if TYPE_CHECKING:
    from tidegate.cli.doctor.findings import Report

EXIT_FOUND = 1
EXIT_UNKNOWN = 2
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

    parser.add_argument(
        "--connect", metavar="HOST", help="instead: try tcp://HOST:PORT as the docker CLI would, and explain what fails"
    )
    parser.add_argument(
        "--cert-path",
        type=Path,
        metavar="DIR",
        help="ca.pem, cert.pem, key.pem for --connect (default as for the CLI: DOCKER_CERT_PATH, ~/.docker)",
    )


def run(args: argparse.Namespace) -> int:
    if args.connect is None and args.cert_path is not None:
        raise InvalidParameterError("--cert-path belongs to --connect HOST")
    return _look_at_host(args) if args.connect is None else _connect(args)


def _connect(args: argparse.Namespace) -> int:
    from tidegate.cli.doctor.client_files import read_client_files
    from tidegate.cli.doctor.connection import observe, parse_target
    from tidegate.cli.doctor.explain import OK, explain

    directory = certificate_directory(args.cert_path, os.environ)
    target = parse_target(args.connect, directory is not None, os.environ)
    files = read_client_files(directory) if directory is not None else None
    found = explain(observe(target, files), datetime.now(UTC))
    if args.json:
        print(json.dumps({"id": found.id, "what": found.what, "mend": found.mend}))
    else:
        print(f"{found.what}; {found.mend}" if found.mend else found.what)
    if found.id == OK:
        return 0
    return EXIT_UNKNOWN if found.id == "unknown" else EXIT_FOUND


def certificate_directory(given: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Where the docker CLI takes its certificates from; None when it would not use TLS."""
    if given is not None:
        return given
    if not any(environment.get(name) for name in ("DOCKER_TLS_VERIFY", "DOCKER_TLS")):
        return None
    home = Path(environment.get("HOME", "/root"))
    return Path(environment.get("DOCKER_CERT_PATH") or environment.get("DOCKER_CONFIG") or home / ".docker")


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
