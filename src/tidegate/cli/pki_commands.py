"""``tidegate pki init | server | client NAME | ls``: the certificates under DATA_ROOT/pki, from the command line.

The rules are in ``tidegate.pki.authority``; this module only reads arguments and prints.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.pki.names import parse_alternative_name, parse_client_name, parse_context_host

if TYPE_CHECKING:
    from tidegate.pki.authority import Authority

DEFAULT_DATA_ROOT = Path("/var/lib/tidegate")
DEFAULT_HOST = "tcp://127.0.0.1:2376"
MAX_DAYS = 3650


def configure(parser: argparse.ArgumentParser) -> None:
    data_root_help = f"where Tidegate keeps its data ({DEFAULT_DATA_ROOT})"
    parser.add_argument("--data-root", type=Path, default=DEFAULT_DATA_ROOT, metavar="DIR", help=data_root_help)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, help_text: str, run_action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
        # Accepted on either side of the action; suppressed here, or its default would undo the one before.
        action.add_argument("--data-root", type=Path, default=argparse.SUPPRESS, metavar="DIR", help=data_root_help)
        action.set_defaults(run_action=run_action)
        return action

    for name, help_text, run_action in (
        (
            "init",
            "make the CA, the server's certificate and the first administrator's; complete what is half made",
            _init,
        ),
        ("server", "make the server's certificate, or renew it if it is due or lacks a name", _server),
    ):
        action = add(name, help_text, run_action)
        action.add_argument(
            "--tls-san",
            type=_checked(parse_alternative_name),
            action="append",
            default=[],
            metavar="NAME",
            help="a further name or address of the server; remembered (many times)",
        )
        if name == "server":
            action.add_argument("--days", type=_days, metavar="N", help="renew now, for N days")
    client = add("client", "make a client's certificate, or renew it if it is due; hand it out", _client)
    client.set_defaults(usage_error=client.error)
    client.add_argument("name", type=_checked(parse_client_name), metavar="NAME")
    client.add_argument("--days", type=_days, metavar="N", help="renew now, for N days")
    destination = client.add_mutually_exclusive_group()
    destination.add_argument("--out", type=Path, metavar="DIR", help="write ca.pem, cert.pem and key.pem there too")
    destination.add_argument("--context", type=Path, metavar="FILE.tar", help="an archive for `docker context import`")
    client.add_argument(
        "--host", type=_checked(_context_host), metavar="HOST", help=f"the context's host ({DEFAULT_HOST})"
    )
    add("ls", "list the certificates", _ls)


def run(args: argparse.Namespace) -> int:
    run_action: Callable[[argparse.Namespace], int] = args.run_action
    return run_action(args)


def _authority(args: argparse.Namespace) -> "Authority":
    from tidegate.pki.authority import Authority  # cryptography costs 60 ms: not for --help or a usage error

    return Authority(args.data_root.absolute())


def _init(args: argparse.Namespace) -> int:
    authority = _authority(args)
    authority.ensure_all(args.tls_san)
    print(f"CA      {authority.ca_path}")
    print(f"server  {authority.server_directory}")
    print(f"client  {authority.client_directory('admin')}")
    return 0


def _server(args: argparse.Namespace) -> int:
    from tidegate.pki.certificates import alternative_names

    certificate = _authority(args).ensure_server(args.tls_san, args.days)
    print(f"server certificate, valid until {certificate.not_valid_after_utc:%Y-%m-%d}, for:")
    print("\n".join(f"  {name}" for name in alternative_names(certificate)))
    return 0


def _client(args: argparse.Namespace) -> int:
    if args.host and not args.context:
        args.usage_error("--host is the host of a context: it needs --context FILE.tar")
    authority = _authority(args)
    certificate = authority.ensure_client(args.name, args.days)
    written = authority.client_directory(args.name)
    if args.out:
        written = args.out
        _write_out(authority, args.name, args.out)
    elif args.context:
        written = args.context
        _write_context(authority, args.name, args.context, args.host or DEFAULT_HOST)
    print(f"client {args.name}, valid until {certificate.not_valid_after_utc:%Y-%m-%d}: {written}")
    return 0


def _write_out(authority: "Authority", name: str, directory: Path) -> None:
    from tidegate.pki.durable_files import PRIVATE_MODE, PUBLIC_MODE, make_private_directory, write_durably

    material = authority.client_material(name)
    present = directory / "key.pem"
    if present.exists() and present.read_bytes() != material.key:
        raise ConflictError(f"{present} is another key, which would be lost: choose another directory or move it away")
    make_private_directory(directory)
    for file_name, content in material.files().items():
        write_durably(directory / file_name, content, PRIVATE_MODE if file_name == "key.pem" else PUBLIC_MODE)


def _write_context(authority: "Authority", name: str, path: Path, host: str) -> None:
    from tidegate.pki.context_archive import build_context_archive
    from tidegate.pki.durable_files import PRIVATE_MODE, write_durably

    if not path.parent.is_dir():
        raise NotFoundError(f"no directory {path.parent} to write {path.name} in")
    host, host_name = parse_context_host(host)
    _warn_unless_certified(authority, host_name)
    write_durably(path, build_context_archive(name, host, authority.client_material(name)), PRIVATE_MODE)


def _warn_unless_certified(authority: "Authority", host_name: str) -> None:
    from tidegate.pki.certificates import alternative_names, decode_certificate

    path = authority.server_directory / "cert.pem"
    if path.exists() and host_name not in alternative_names(decode_certificate(path.read_bytes(), str(path))):
        hint = f"run `tidegate pki server --tls-san {host_name}`"
        print(f"warning: the server's certificate does not name {host_name}; {hint}", file=sys.stderr)


def _ls(args: argparse.Namespace) -> int:
    from tidegate.pki.inventory import list_entries

    print(f"{'KIND':<8}{'NAME':<24}{'STATE':<12}{'NOT AFTER':<12}SERIAL")
    for entry in list_entries(_authority(args)):
        not_after = f"{entry.not_after:%Y-%m-%d}" if entry.not_after else "-"
        print(f"{entry.kind:<8}{entry.name:<24}{entry.state:<12}{not_after:<12}{entry.serial or '-'}")
    return 0


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_DAYS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_DAYS}")
    return int(text)


def _context_host(text: str) -> str:
    return parse_context_host(text)[0]


def _checked(parse: Callable[[str], str]) -> Callable[[str], str]:
    """``parse`` as an argparse type: its error becomes a usage error."""

    def parse_argument(text: str) -> str:
        try:
            return parse(text)
        except InvalidParameterError as error:
            raise argparse.ArgumentTypeError(error.message) from error

    return parse_argument
