"""``tidegate client``: who may come, with what, until when. On the machine of the gate, ``join`` excepted.

Works on the files under DATA_ROOT/pki, whether or not anything runs; a running gate knows within milliseconds. The
rules are in ``tidegate.pki.clients``; this module only reads arguments and prints.
"""

import argparse
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.base.durations import duration_text
from tidegate.base.errors import InvalidParameterError
from tidegate.cli.certificate_arguments import (
    DEFAULT_HOST,
    Actions,
    add_destination,
    add_lifetime,
    check_destination,
    checked,
    context_host,
    data_root,
    time_to_live,
)
from tidegate.cli.client.hand_out import (
    check_context,
    check_out,
    reachable_name,
    warn_unless_certified,
    write_context,
    write_out,
)
from tidegate.pki.names import (
    DEFAULT_TLS_PORT,
    parse_client_name,
    parse_context_host,
    parse_context_name,
    parse_role_name,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tidegate.pki.authority import Authority
    from tidegate.pki.issued import IssueRecord

DEFAULT_TTL = timedelta(minutes=10)
_WIDTHS = (24, 14, 10, 19, 9, 8, 0)


def configure(parser: argparse.ArgumentParser) -> None:
    actions = Actions(parser)
    _configure_invite(actions)
    join = actions.add_remote("join", "become a client of a gate, on this machine, by an invitation", _join)
    join.add_argument("host", type=checked(context_host), metavar="HOST:PORT")
    join.add_argument("token", metavar="TOKEN", help="of the invitation; - reads it from standard input")
    _add_place(join)
    renew = actions.add_remote("renew", "renew the certificate on this machine, with a new key", _renew)
    _add_place(renew)
    renew.add_argument(
        "--host", type=checked(context_host), metavar="HOST:PORT", help="ask there, not where it is from"
    )
    renew.add_argument("--revoke-old", action="store_true", help="take the old certificate back at once")
    when = renew.add_mutually_exclusive_group()
    when.add_argument("--if-due", action="store_true", help="only from half of its life on: for timers")
    when.add_argument("--keep", action="store_true", help="stay, and renew whenever it is due")
    create = actions.add("create", "make a certificate to hand out; its key is kept nowhere else", _create)
    create.add_argument("name", type=checked(parse_client_name), metavar="NAME")
    _add_role(create)
    add_lifetime(create, "valid")
    add_destination(create)
    listing = actions.add("ls", "list the clients' certificates", _ls)
    listing.add_argument("-a", "--all", action="store_true", help="expired and revoked ones too")
    show = actions.add("show", "tell all about the certificates of a client", _show)
    show.add_argument("which", metavar="NAME|SERIAL")
    for action in (listing, show):
        action.add_argument("--json", action="store_true", help="one JSON document for each certificate")
    revoke = actions.add("revoke", "take a client's certificates back, at once", _revoke)
    revoke.add_argument("which", metavar="NAME|SERIAL")
    revoke.add_argument("--reason", default="", metavar="TEXT", help="why; the client is told")
    role = actions.add("role", "give a client another role, at once", _role)
    role.add_argument("name", type=checked(parse_client_name), metavar="NAME")
    role.add_argument("role", type=checked(parse_role_name), metavar="ROLE")


def _configure_invite(actions: Actions) -> None:
    invite = actions.add("invite", "print the line by which another machine makes itself a client", _invite)
    invite.add_argument("name", type=checked(parse_client_name), metavar="NAME")
    _add_role(invite)
    invite.add_argument(
        "--ttl",
        type=checked(time_to_live),
        default=DEFAULT_TTL,
        metavar="TIME",
        help="how long the invitation is good: 10m unless said otherwise",
    )
    add_lifetime(invite, "the certificate is valid", "--lifetime")
    invite.add_argument("--host", type=checked(context_host), metavar="HOST", help="where the other machine finds us")


def run(args: argparse.Namespace) -> int:
    run_action: Callable[[argparse.Namespace], int] = args.run_action
    return run_action(args)


def _add_place(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--out", type=Path, metavar="DIR", help="the files are there, not in ~/.docker")
    place.add_argument("--context", type=checked(parse_context_name), metavar="NAME", help="a docker context has them")


def _add_role(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role",
        type=checked(parse_role_name),
        metavar="ROLE",
        help="viewer, operator, developer, ci, admin, or your own",
    )


def _authority(args: argparse.Namespace) -> "Authority":
    from tidegate.pki.authority import Authority  # cryptography costs 60 ms: not for --help or a usage error

    return Authority(data_root(args))


def _check_role(args: argparse.Namespace) -> None:
    """Raises InvalidParameterError for a role that does not exist, and for access files that cannot be read."""
    if args.role is None:
        return
    from tidegate.access.files import parse_policy

    access = data_root(args) / "access"
    roles = parse_policy({path.name: path.read_text() for path in access.glob("[!.]*") if path.is_file()}).roles
    if args.role not in roles:
        raise InvalidParameterError(f"there is no role {args.role!r}; roles are {', '.join(sorted(roles))}")


def _create(args: argparse.Namespace) -> int:
    from tidegate.pki.clients import Clients

    _check_role(args)
    if not args.out and not args.context:
        args.usage_error("say where the certificate shall go: --out DIR or --context FILE.tar")
    check_destination(args)
    authority = _authority(args)
    host = args.host or DEFAULT_HOST
    if args.out:
        check_out(args.out, None)
    else:
        check_context(authority, args.context, host)
    material = Clients(authority).create(args.name, args.role, args.lifetime)
    if args.out:
        write_out(args.out, material)
    else:
        write_context(args.context, args.name, host, material)
    record = authority.records.of(args.name)[-1]
    print(
        f"client {record.name}, role {record.role}, valid until {_moment(record.not_after)}: {args.out or args.context}"
    )
    return 0


def _invite(args: argparse.Namespace) -> int:
    from tidegate.pki.clients import Clients

    _check_role(args)
    authority = _authority(args)
    host = args.host or f"tcp://{reachable_name(authority)}:{DEFAULT_TLS_PORT}"
    warn_unless_certified(authority, parse_context_host(host)[1])
    token = Clients(authority).invite(args.name, args.role, args.ttl, args.lifetime)
    print(f"tidegate client join {host.removeprefix('tcp://')} {token}")
    print(f"on the other machine, once, within {duration_text(args.ttl)}", file=sys.stderr)
    return 0


def _join(args: argparse.Namespace) -> int:
    from tidegate.cli.client import join

    return join.run(args)


def _renew(args: argparse.Namespace) -> int:
    from tidegate.cli.client import renew

    return renew.run(args)


def _ls(args: argparse.Namespace) -> int:
    from tidegate.pki.clients import Clients

    authority = _authority(args)
    now = authority.now()
    records = [record for record in authority.records.all() if args.all or record.is_live(now)]
    if args.json:
        return _print_json(records)
    _print_row("NAME", "ROLE", "STATE", "NOT AFTER", "LEFT", "ORIGIN", "SERIAL")
    for record in records:
        left = duration_text(record.not_after - now) if record.is_live(now) else "-"
        state, end = _state(record, now), _moment(record.not_after)
        _print_row(record.name, record.role, state, end, left, record.origin, record.serial)
    for invitation in Clients(authority).invitations():
        end, left = _moment(invitation.expires_at), duration_text(invitation.expires_at - now)
        _print_row(invitation.name, invitation.role, "invited", end, left, "invite", "-")
    return 0


def _print_row(*cells: str) -> None:
    print("".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip())


def _show(args: argparse.Namespace) -> int:
    from tidegate.pki.clients import Clients

    authority = _authority(args)
    records = Clients(authority).find(args.which)
    if args.json:
        return _print_json(records)
    for number, record in enumerate(records):
        rows = [
            ("name", record.name),
            ("role", record.role),
            ("state", _state(record, authority.now())),
            ("serial", record.serial),
            ("issued", f"{_moment(record.issued_at)}, by {record.origin}"),
            ("not after", _moment(record.not_after)),
            ("fingerprint", f"sha256:{record.fingerprint}"),
            ("key", f"sha256:{record.key}"),
        ]
        if record.revoked_at:
            rows.append(("revoked", f"{_moment(record.revoked_at)} {record.reason}".rstrip()))
        print("\n" * bool(number) + "\n".join(f"{title + ':':<13}{text}" for title, text in rows))
    return 0


def _revoke(args: argparse.Namespace) -> int:
    from tidegate.pki.clients import Clients

    revoked = Clients(_authority(args)).revoke(args.which, args.reason)
    for record in revoked:
        print(f"revoked {record.serial} of {record.name}")
    if not revoked:
        print(f"{args.which}: nothing to revoke, no certificate of it is valid any more", file=sys.stderr)
    return 0


def _role(args: argparse.Namespace) -> int:
    from tidegate.pki.clients import Clients

    _check_role(args)
    records = Clients(_authority(args)).set_role(args.name, args.role)
    print(f"client {args.name}, role {args.role}: {len(records)} certificate{'s' * (len(records) != 1)}")
    return 0


def _print_json(records: "list[IssueRecord]") -> int:
    import msgspec

    for record in records:
        print(msgspec.json.encode(record).decode())
    return 0


def _state(record: "IssueRecord", now: "datetime") -> str:
    if record.revoked_at:
        return "revoked"
    return "valid" if record.not_after > now else "expired"


def _moment(moment: "datetime") -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
