"""``tidegate audit verify | tail | query``: the gate's audit, from the command line.

``verify`` ends with 0 when all is whole, 1 when something was tampered with, 2 when it could not look.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.base.errors import InvalidParameterError, NotFoundError, TidegateError
from tidegate.cli.certificate_arguments import DEFAULT_DATA_ROOT

if TYPE_CHECKING:
    from tidegate.cli.audit_follow import Follower
    from tidegate.pki.audit.reader import Report
    from tidegate.pki.audit.signer import AuditVerifier
    from tidegate.spec.audit.chain import Head
    from tidegate.spec.audit.query import Entry, Selection

EXIT_TAMPERED = 1
EXIT_COULD_NOT_LOOK = 2
_MOST_SHOWN = 50


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, help_text: str, run_action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
        action.add_argument(
            "--data-root",
            type=Path,
            default=DEFAULT_DATA_ROOT,
            metavar="DIR",
            help=f"where Tidegate keeps its data ({DEFAULT_DATA_ROOT})",
        )
        action.add_argument("files", nargs="*", type=Path, metavar="FILE", help="instead of the files under DATA_ROOT")
        action.add_argument("--json", action="store_true", help="one JSON object for each line of output")
        action.set_defaults(run_action=run_action)
        return action

    verify = add("verify", "find what was edited, deleted, reordered, cut off, swapped, or never signed", _verify)
    verify.add_argument("--key", type=Path, action="append", default=[], metavar="FILE", help="a public key (PEM)")
    verify.add_argument("--partial", action="store_true", help="earlier and later lines are elsewhere")
    tail = add("tail", "show the last decisions", _tail)
    tail.add_argument("-n", "--lines", type=_count, default=20, metavar="N", help="how many (20)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on showing them")
    for action in (tail, add("query", "show the decisions that were asked for", _query)):
        action.add_argument("--principal", metavar="PATTERN", help="CN=alice, alice, uid=1000")
        action.add_argument("--operation", metavar="PATTERN", help="ContainerCreate, Container*")
        action.add_argument("--verdict", choices=("allowed", "refused"))
        action.add_argument("--object", metavar="ID", help="a name, or the beginning of an id")
        action.add_argument("--since", metavar="TIME", help="a time, a date, or a duration that counts back (1h30m)")
        action.add_argument("--until", metavar="TIME", help="likewise")


def run(args: argparse.Namespace) -> int:
    run_action: Callable[[argparse.Namespace], int] = args.run_action
    return run_action(args)


def _verify(args: argparse.Namespace) -> int:
    from tidegate.pki.audit.memory import read_dropped, signer_directory
    from tidegate.pki.audit.reader import Memory, verify_files

    try:
        files = _files(args)
        memory = Memory(_heads(args), read_dropped(signer_directory(args.data_root)))
        report = verify_files(files, _verifiers(args), memory, args.partial)
    except (TidegateError, OSError) as error:
        message = error.message if isinstance(error, TidegateError) else str(error)
        print(f"tidegate audit verify: could not look: {message}", file=sys.stderr)
        return EXIT_COULD_NOT_LOOK
    (_print_json if args.json else _print_report)(report)
    return EXIT_TAMPERED if report.is_tampered else 0


def _print_report(report: "Report") -> None:
    for walk in report.walks:
        signed = f"signed up to line {walk.signed.seq}" if walk.signed is not None else "nothing of it is signed"
        bad = sum(finding.is_tampering for finding in walk.findings)
        print(f"{walk.chain}: {walk.lines} lines, {signed}, {f'{bad} findings' if bad else 'whole'}")
    for finding in report.findings[:_MOST_SHOWN]:
        print(f"{finding.place}: {finding.what}: {finding.text}")
    if len(report.findings) > _MOST_SHOWN:
        print(f"and {len(report.findings) - _MOST_SHOWN} more: --json shows all")


def _print_json(report: "Report") -> None:
    import json

    for walk in report.walks:
        signed = walk.signed.seq if walk.signed is not None else 0
        print(json.dumps({"chain": walk.chain, "lines": walk.lines, "signed": signed}))
    for finding in report.findings:
        place = {"file": finding.place.file, "line": finding.place.number}
        print(json.dumps({"finding": finding.what, "tampering": finding.is_tampering, **place, "text": finding.text}))


def _tail(args: argparse.Namespace) -> int:
    from collections import deque

    if args.follow and args.files:
        raise InvalidParameterError("--follow looks at the files under DATA_ROOT: name no others")
    selection = _selection(args)
    follower = _follower(args) if args.follow else None
    for entry in deque(_selected(args, selection), maxlen=args.lines):
        _show(entry, args.json)
    if follower is not None:
        _follow(follower, selection, args.json)
    return 0


def _follower(args: argparse.Namespace) -> "Follower":
    from tidegate.cli.audit_follow import Follower

    return Follower(args.data_root / "audit")


def _follow(follower: "Follower", selection: "Selection", as_json_line: bool) -> None:
    from tidegate.cli.audit_follow import news

    sys.stdout.flush()
    for batch in news(follower.batches()):
        for entry in filter(selection.admits, batch):
            _show(entry, as_json_line)
        sys.stdout.flush()


def _query(args: argparse.Namespace) -> int:
    for entry in _selected(args, _selection(args)):
        _show(entry, args.json)
    return 0


def _selected(args: argparse.Namespace, selection: "Selection") -> Iterator["Entry"]:
    from tidegate.pki.audit.reader import group_by_chain, read_lines
    from tidegate.spec.audit.query import entries

    return filter(selection.admits, entries(read_lines(group_by_chain(_files(args)))))


def _show(entry: "Entry", as_json_line: bool) -> None:
    from tidegate.spec.audit.query import as_json, describe

    print(as_json(entry).decode() if as_json_line else describe(entry))


def _selection(args: argparse.Namespace) -> "Selection":
    from tidegate.spec.audit.chain import stamp
    from tidegate.spec.audit.query import Selection
    from tidegate.spec.timestamps import parse_time

    now_ns = time.time_ns()
    since, until = (stamp(parse_time(text, now_ns)) if text else None for text in (args.since, args.until))
    allowed = None if args.verdict is None else args.verdict == "allowed"
    return Selection(args.principal, args.operation, allowed, since, until, args.object)


def _files(args: argparse.Namespace) -> list[Path]:
    """Those that were named, or all under DATA_ROOT. Raises NotFoundError when there are none."""
    from tidegate.pki.audit.files import audit_files

    if args.files:
        for path in args.files:
            if not path.is_file():
                raise NotFoundError(f"{path} is no file")
        return list(args.files)
    directory = args.data_root / "audit"
    found = audit_files(directory)
    if not found and not _heads(args):
        raise NotFoundError(f"no audit under {directory}: name its files, or --data-root")
    return found


def _heads(args: argparse.Namespace) -> "dict[str, Head]":
    """What the signer of this data root remembers of the chains that are looked at.

    A chain named ``WRITER@START`` goes to a log daemon: it is looked at only when its lines are given.
    """
    from tidegate.pki.audit.memory import read_heads, signer_directory
    from tidegate.pki.audit.reader import chains_of

    heads = read_heads(signer_directory(args.data_root))
    present = chains_of(args.files) if args.files else {chain for chain in heads if "@" not in chain}
    return {chain: head for chain, head in heads.items() if chain in present}


def _verifiers(args: argparse.Namespace) -> "dict[str, AuditVerifier]":
    from tidegate.pki.audit.memory import signer_directory
    from tidegate.pki.audit.signer import AuditVerifier, load_verifier

    named = [AuditVerifier(path.read_bytes(), str(path)) for path in args.key]
    found = named or [load_verifier(signer_directory(args.data_root))]
    return {verifier.key_id: verifier for verifier in found}


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)
