"""``tidegate policy check | explain | learn``: who may do what, before it is tried.

- ``check`` ends with 0 when the files can be used, 1 when not.
- ``explain`` ends with 0 when the request is allowed, 1 when it is refused.
- ``learn`` writes an access file to standard output, from an audit.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.cli.certificate_arguments import Actions, data_root

if TYPE_CHECKING:
    from tidegate.access.policy import Policy
    from tidegate.access.principal import Principal

EXIT_REFUSED = 1
_UNIX_PREFIX = "uid:"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = Actions(parser)
    check = actions.add("check", "find what is wrong with access files, with line and mend", _check)
    check.add_argument("files", nargs="*", type=Path, metavar="FILE", help="instead of those under DATA_ROOT/access")
    explain = actions.add("explain", "say whether a request would be allowed, by which rule, and why", _explain)
    explain.add_argument("request", metavar="'METHOD /path'", help="as in 'POST /containers/create?name=web'")
    explain.add_argument("--as", dest="name", required=True, metavar="NAME", help="a certificate's name, or uid:1000")
    explain.add_argument("--role", metavar="ROLE", help="instead of the role that NAME has")
    explain.add_argument("--body", type=Path, metavar="FILE", help="the body of the request; - is standard input")
    explain.add_argument("--organization", action="append", default=[], metavar="O", help="of the certificate")
    explain.add_argument("--organizational-unit", action="append", default=[], metavar="OU", help="likewise")
    explain.add_argument("--uri", action="append", default=[], metavar="URI", help="likewise")
    explain.add_argument("--gid", type=int, default=-1, metavar="GID", help="of a unix client")
    explain.add_argument("--default-role", default="", metavar="ROLE", help="as `tidegate up` is given it")
    explain.add_argument("--files", nargs="+", type=Path, metavar="FILE", help="instead of DATA_ROOT/access")
    learn = actions.add("learn", "write the least policy that would have allowed what an audit says was done", _learn)
    learn.add_argument("files", nargs="+", type=Path, metavar="AUDITFILE")
    learn.add_argument("--principal", metavar="PATTERN", help="of these clients only: CN=alice, alice, uid=1000")
    learn.add_argument("--since", metavar="TIME", help="a time, a date, or a duration that counts back (1h30m)")
    learn.add_argument("--until", metavar="TIME", help="likewise")


def run(args: argparse.Namespace) -> int:
    code: int = args.run_action(args)
    return code


def _check(args: argparse.Namespace) -> int:
    from tidegate.access.files import read_policy

    files = _read_files(args.files or None, args)
    if not files:
        raise NotFoundError(f"no access files under {_access_directory(args)}: only the built-in roles are there")
    policy, problems = read_policy(files)
    for problem in problems:
        print(problem)
    errors = sum(not problem.warning for problem in problems)
    if errors:
        print(f"{errors} error{'s' * (errors != 1)}: these files cannot be used", file=sys.stderr)
        return EXIT_REFUSED
    print(f"{', '.join(sorted(files))}: can be used; roles are {', '.join(sorted(policy.roles))}")
    return 0


def _explain(args: argparse.Namespace) -> int:
    from tidegate.access.asked import read_asked
    from tidegate.access.explanation import explain
    from tidegate.access.files import parse_policy

    method, _, target = args.request.partition(" ")
    if not target.startswith("/"):
        raise InvalidParameterError(f"{args.request!r} is no request: write 'METHOD /path'")
    asked = read_asked(method.upper(), target, _body(args.body))
    policy = parse_policy(_read_files(args.files, args), args.default_role)
    principal = _principal(args)
    verdict, lines = explain(policy, principal, args.role or _role(args, policy, principal), asked)
    for line in lines:
        print(line)
    return 0 if verdict.allowed else EXIT_REFUSED


def _body(path: Path | None) -> bytes:
    if path is None:
        return b""
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def _principal(args: argparse.Namespace) -> "Principal":
    from tidegate.access.principal import CertificatePrincipal, UnixPrincipal

    name: str = args.name
    if not name.startswith(_UNIX_PREFIX):
        subject = (tuple(args.organization), tuple(args.organizational_unit), tuple(args.uri))
        return CertificatePrincipal(name.removeprefix("CN="), *subject, serial_number="")
    uid = name.removeprefix(_UNIX_PREFIX)
    if not (uid.isascii() and uid.isdigit()):
        raise InvalidParameterError(f"--as {name}: {uid!r} is no number")
    return UnixPrincipal(int(uid), args.gid, 0)


def _role(args: argparse.Namespace, policy: "Policy", principal: "Principal") -> str:
    """By the record of a certificate that is still good, else by binding or default."""
    from datetime import UTC, datetime

    from tidegate.access.principal import CertificatePrincipal
    from tidegate.pki.issued import IssuedRecords

    recorded = ""
    if isinstance(principal, CertificatePrincipal):
        records = IssuedRecords(data_root(args) / "pki").of(principal.common_name)
        recorded = next((record.role for record in reversed(records) if record.is_live(datetime.now(UTC))), "")
    return policy.role_of(principal, recorded)


def _learn(args: argparse.Namespace) -> int:
    import time

    from tidegate.access.learning import Learner
    from tidegate.pki.audit.reader import group_by_chain, read_lines
    from tidegate.spec.audit.chain import stamp
    from tidegate.spec.audit.query import Selection, entries
    from tidegate.spec.timestamps import parse_time

    now_ns = time.time_ns()
    since, until = (stamp(parse_time(text, now_ns)) if text else None for text in (args.since, args.until))
    selection = Selection(args.principal, allowed=True, since=since, until=until)
    learner = Learner()
    for entry in filter(selection.admits, entries(read_lines(group_by_chain(args.files)))):
        decision, outcome = entry.decision, entry.outcome
        if entry.repeated is not None:
            continue  # like the decision that it repeats
        if outcome is None or (outcome.status < 500 and outcome.status not in (400, 401, 403)):
            made = outcome.object if outcome is not None else ""
            learner.add(decision.principal, decision.operation, decision.object, made, decision.facts)
    print("\n".join(learner.access_file()))
    return 0


def _read_files(named: list[Path] | None, args: argparse.Namespace) -> Mapping[str, str]:
    """Texts by name: of the files that were named, or of DATA_ROOT/access. Raises InvalidParameterError, OSError."""
    paths = named if named is not None else sorted(_access_directory(args).glob("[!.]*"))
    return {path.name: _text(path) for path in paths if named is not None or path.is_file()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidParameterError(f"{path} is not UTF-8: {error}") from error


def _access_directory(args: argparse.Namespace) -> Path:
    return data_root(args) / "access"
