"""``DELETE /containers/HOLDER/ALIAS?link=1``: a link is taken away, both containers stay.

The record is changed first. A running holder loses the name at once; the variables of its processes cannot be taken
back.
"""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import NotFoundError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.links.requested import parse_link_name, without_link
from tidegate.model.container import Container

DropAlias = Callable[[Container, str], None]
"""Take an alias out of the hosts file of a container; one that has none is fine."""


class LinkRemoval(msgspec.Struct, frozen=True):
    """On the containers, and on what writes their hosts files."""

    containers: ContainerService
    drop_alias: DropAlias

    async def remove(self, link_name: str) -> None:
        """``HOLDER/ALIAS``. Raises NotFoundError, ConflictError for a container's own name."""
        holder_name, alias = parse_link_name(link_name)
        try:
            holder = self.containers.resolve(holder_name)
        except NotFoundError as error:
            raise NotFoundError(f"Cannot get parent /{holder_name} for link name /{holder_name}/{alias}") from error

        def edit(current: Container) -> Container:
            left = tuple(without_link(current, alias))
            return replace(current, settings=replace(current.settings, links=left))

        without_link(holder, alias)
        self.drop_alias(await self.containers.edit(holder.id, edit), alias)
