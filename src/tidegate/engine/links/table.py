"""Who is linked to whom, worked out of the containers as they are: names and addresses follow a rename or a restart.

A link whose other end has been removed is none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tidegate.base.errors import ConflictError, NotFoundError
from tidegate.engine.links.variables import link_variables
from tidegate.engine.ports import BridgeAttachment
from tidegate.model.container import Container
from tidegate.model.phases import Phase
from tidegate.spec.stored import stored_request

_WITH_ADDRESS = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.STOPPING})


class LinkedContainer(NamedTuple):
    """The other end of a link that runs; ``names`` are for the hosts file, ``variables`` for the environment."""

    alias: str
    address: str
    names: Sequence[str]
    variables: Sequence[str]


class LinkTable(msgspec.Struct, frozen=True):
    """``attachment`` answers what a running container has on the default bridge."""

    find: Callable[[str], Container]
    everything: Callable[[], Sequence[Container]]
    attachment: Callable[[str], BridgeAttachment | None]

    def shown(self, container: Container) -> Sequence[str]:
        """``HostConfig.Links`` of inspect: ``/db:/web/alias``."""
        return [f"/{other.name}:/{container.name}/{alias}" for alias, other in self._targets(container)]

    def names(self) -> Mapping[str, Sequence[str]]:
        """The further names that containers have by links, ``/web/alias``, by id."""
        found: dict[str, list[str]] = {}
        for container in self.everything():
            for link in container.settings.links:
                found.setdefault(link.container_id, []).append(f"/{container.name}/{link.alias}")
        return found

    def linked(self, container: Container) -> Sequence[LinkedContainer]:
        """For a start. Raises ConflictError for another end that does not run, or is not on the default bridge."""
        found = []
        for alias, other in self._targets(container):
            if other.state.phase not in _WITH_ADDRESS:
                raise ConflictError(
                    f"Cannot link to a non running container: /{other.name} AS /{container.name}/{alias}"
                )
            attachment = self.attachment(other.id)
            if attachment is None:
                raise ConflictError(f"Cannot link to /{other.name}, as it does not belong to the default network")
            found.append(_linked(container, alias, other, attachment.address))
        return found

    def running(self, container: Container) -> Iterator[LinkedContainer]:
        """For an exec: the links whose other end runs."""
        for alias, other in self._targets(container):
            attachment = self.attachment(other.id)
            if attachment is not None:
                yield _linked(container, alias, other, attachment.address)

    def holders(self, container_id: str) -> Iterator[tuple[Container, str]]:
        """The running containers that are linked to this one, each with its alias."""
        for container in self.everything():
            for link in container.settings.links:
                if link.container_id == container_id and container.state.phase in _WITH_ADDRESS:
                    yield container, link.alias

    def _targets(self, container: Container) -> Iterator[tuple[str, Container]]:
        for link in container.settings.links:
            try:
                yield link.alias, self.find(link.container_id)
            except NotFoundError:
                continue  # removed since


def _linked(holder: Container, alias: str, other: Container, address: str) -> LinkedContainer:
    document = stored_request(other.document)
    names = [alias, document.hostname or other.id[:12]]
    if alias != other.name:
        names.append(other.name)
    variables = link_variables(holder.name, alias, address, document.env, document.exposed_ports)
    return LinkedContainer(alias, address, names, variables)
