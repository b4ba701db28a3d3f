"""``tidegate pki``: the CA and the certificates under DATA_ROOT/pki, from the command line.

The rules are in ``tidegate.pki.authority`` and ``rotation``; this module only reads arguments and prints.
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
from tidegate.cli.client.hand_out import check_context, check_out, write_context, write_out
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
    rotate_server = actions.add("rotate-server", "give the server a new key and certificate, at once", _rotate_server)
    add_lifetime(rotate_server, "valid")
    rotate_ca = actions.add("rotate-ca", "change the CA, or tell how far the change is", _rotate_ca)
    step = rotate_ca.add_mutually_exclusive_group()
    step.add_argument("--begin", action="store_true", help="trust a next CA beside the present one")
    step.add_argument("--finish", action="store_true", help="trust the next CA only")
    rotate_ca.add_argument("--force", action="store_true", help="lock out the clients that have not renewed")
    actions.add("ls", "list the certificates", _ls)


def run(args: argparse.Namespace) -> int:
    run_action: Callable[[argparse.Namespace], int] = args.run_action
    return run_action(args)


def _rotate_server(args: argparse.Namespace) -> int:
    certificate = _authority(args).rotate_server(args.lifetime)
    print(f"server certificate, valid until {certificate.not_valid_after_utc:%Y-%m-%d}, with a new key")
    return 0


def _rotate_ca(args: argparse.Namespace) -> int:
    from tidegate.pki.rotation import Rotation

    if args.force and not args.finish:
        args.usage_error("--force belongs to --finish")
    rotation = Rotation(_authority(args))
    if args.begin:
        rotation.begin()
    elif args.finish:
        rotation.finish(force=args.force)
        print("the CA was changed: only the new one is trusted")
        return 0
    if not rotation.has_begun():
        print("the CA is not being changed")
        return 0
    late = rotation.stragglers()
    print("two CAs are trusted: clients get certificates of the next one when they renew")
    for name, not_after in late.items():
        print(f"  {name} has only one of the old CA, until {not_after:%Y-%m-%d %H:%M}Z")
    if not late:
        print("every client has one: `tidegate pki rotate-ca --finish` may drop the old CA")
    return 0


def _authority(args: argparse.Namespace) -> "Authority":
    from tidegate.pki.authority import Authority  # cryptography costs 60 ms: not for --help or a usage error

    return Authority(data_root(args))


def _init(args: argparse.Namespace) -> int:
    from tidegate.pki.rotation import Rotation

    authority = _authority(args)
    Rotation(authority).complete()
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
