"""``tidegate pki init | server | client NAME | ls``: the certificates under DATA_ROOT/pki, from the command line.

The rules are in ``tidegate.pki.authority``; this module only reads arguments and prints.
"""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from tidegate.cli.certificate_arguments import (
    DEFAULT_HOST,
    Actions,
    add_destination,
    add_lifetime,
    check_destination,
    checked,
    data_root,
)
from tidegate.cli.hand_out import check_context, check_out, write_context, write_out
from tidegate.pki.names import parse_alternative_name, parse_client_name

if TYPE_CHECKING:
    from tidegate.pki.authority import Authority


def configure(parser: argparse.ArgumentParser) -> None:
    actions = Actions(parser)
    init = actions.add(
        "init", "make the CA, the server's certificate and the first administrator's; complete what is half made", _init
    )
    server = actions.add("server", "make the server's certificate, or renew it if it is due or lacks a name", _server)
    for action in (init, server):
        action.add_argument(
            "--tls-san",
            type=checked(parse_alternative_name),
            action="append",
            default=[],
            metavar="NAME",
            help="a further name or address of the server; remembered (many times)",
        )
    add_lifetime(server)
    client = actions.add("client", "make an administrator's certificate, or renew it if it is due", _client)
    client.add_argument("name", type=checked(parse_client_name), metavar="NAME")
    add_lifetime(client)
    add_destination(client)
    actions.add("ls", "list the certificates", _ls)


def run(args: argparse.Namespace) -> int:
    run_action: Callable[[argparse.Namespace], int] = args.run_action
    return run_action(args)


def _authority(args: argparse.Namespace) -> "Authority":
    from tidegate.pki.authority import Authority  # cryptography costs 60 ms: not for --help or a usage error

    return Authority(data_root(args))


def _init(args: argparse.Namespace) -> int:
    authority = _authority(args)
    authority.ensure_all(args.tls_san)
    print(f"CA      {authority.ca_path}")
    print(f"server  {authority.server_directory}")
    print(f"client  {authority.client_directory('admin')}")
    return 0


def _server(args: argparse.Namespace) -> int:
    from tidegate.pki.certificates import alternative_names

    certificate = _authority(args).ensure_server(args.tls_san, args.lifetime)
    print(f"server certificate, valid until {certificate.not_valid_after_utc:%Y-%m-%d}, for:")
    print("\n".join(f"  {name}" for name in alternative_names(certificate)))
    return 0


def _client(args: argparse.Namespace) -> int:
    check_destination(args)
    authority = _authority(args)
    certificate = authority.ensure_client(args.name, args.lifetime)
    material = authority.client_material(args.name)
    written = authority.client_directory(args.name)
    if args.out:
        written = args.out
        check_out(args.out, material.key)
        write_out(args.out, material)
    elif args.context:
        written, host = args.context, args.host or DEFAULT_HOST
        check_context(authority, args.context, host)
        write_context(args.context, args.name, host, material)
    print(f"client {args.name}, valid until {certificate.not_valid_after_utc:%Y-%m-%d}: {written}")
    return 0


def _ls(args: argparse.Namespace) -> int:
    from tidegate.pki.inventory import list_entries

    print(f"{'KIND':<8}{'NAME':<24}{'STATE':<12}{'NOT AFTER':<12}SERIAL")
    for entry in list_entries(_authority(args)):
        not_after = f"{entry.not_after:%Y-%m-%d}" if entry.not_after else "-"
        print(f"{entry.kind:<8}{entry.name:<24}{entry.state:<12}{not_after:<12}{entry.serial or '-'}")
    return 0
