"""Links as clients write them, resolved when the container is created and kept by id. Pure.

- ``NAME``, ``NAME:ALIAS``, or ``/NAME:/HOLDER/ALIAS`` as inspect shows them;
- a container in the network of another one stands for that one, whose address it has.

Source: moby's opts.ParseLink and daemon.registerLinks, whose words these are.
"""

import re
from collections.abc import Sequence

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.engine.creation.joining import Find, find_for_new
from tidegate.model.container import JOINS, Container, Link
from tidegate.spec.container import HostConfig

_ALIAS = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_UNDEFINED = "can't be used with links. This would result in undefined behavior"


def parse_link(text: str) -> tuple[str, str]:
    """Name and alias. Raises InvalidParameterError."""
    if not text:
        raise InvalidParameterError("empty string specified for links")
    name, colon, alias = text.partition(":")
    if not colon:
        alias = name.removeprefix("/")
    elif name.startswith("/"):
        alias = alias.rpartition("/")[2]
    if not name or not _ALIAS.fullmatch(alias):
        raise InvalidParameterError(f"bad format for links: {text}")
    return name.removeprefix("/"), alias


def resolve_links(host: HostConfig, find: Find) -> Sequence[Link]:
    """Raises InvalidParameterError for a container that is not there, or networks without names."""
    if host.links:
        _refuse_network(host.network_mode)
    by_alias: dict[str, str] = {}
    for text in host.links:
        name, alias = parse_link(text)
        try:
            target = find_for_new(name, find)
        except InvalidParameterError as error:
            raise InvalidParameterError(f"could not get container for {name}: {error.message}") from error
        target = _network_owner(target, find)
        if target.settings.network == "host":
            raise InvalidParameterError(f"conflicting options: host type networking {_UNDEFINED}")
        if by_alias.setdefault(alias, target.id) != target.id:
            raise InvalidParameterError(f"conflicting links: {alias} is given to two containers")
    return [Link(target_id, alias) for alias, target_id in by_alias.items()]


def _refuse_network(mode: str) -> None:
    kind = "container type network" if mode.startswith(JOINS) else f"{mode} type networking"
    if mode in ("host", "none") or mode.startswith(JOINS):
        raise InvalidParameterError(f"conflicting options: {kind} {_UNDEFINED}")


def _network_owner(container: Container, find: Find) -> Container:
    while container.settings.network.startswith(JOINS):
        container = find_for_new(container.settings.network.removeprefix(JOINS), find)
    return container


def parse_link_name(text: str) -> tuple[str, str]:
    """``HOLDER/ALIAS``, how a link is removed. Raises ConflictError for a container's own name."""
    holder, slash, alias = text.removeprefix("/").partition("/")
    if not slash:
        raise ConflictError("Conflict, cannot remove the default link name of the container")
    return holder, alias


def without_link(container: Container, alias: str) -> Sequence[Link]:
    """What is left. Raises NotFoundError when there is no such link."""
    left = [link for link in container.settings.links if link.alias != alias]
    if len(left) == len(container.settings.links):
        raise NotFoundError(f"No such container: {container.name}/{alias}")
    return left
