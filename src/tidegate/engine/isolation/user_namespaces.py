"""User namespaces of containers (``userns-remap``, ``UsernsMode``): who is mapped, and what that excludes. Pure.

- What is on disk keeps the ids that the container sees: layers and volumes are mapped as they are mounted. So a
  container with ``UsernsMode`` host, or an engine without ``userns-remap``, sees the same files with the same owners.
- Who shares a namespace with another container shares its user namespace too.

Source: user_namespaces(7), mount_setattr(2); moby's daemon/daemon_unix.go for the texts.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tidegate.base.errors import ConflictError, InvalidParameterError
from tidegate.model.container import JOINS, Container
from tidegate.spec.container import HostConfig
from tidegate.spec.stored import stored_request

OVERFLOW_ID = 65534
"""What an id is seen as that is not mapped (``/proc/sys/kernel/overflowuid``)."""


class IdRange(msgspec.Struct, frozen=True):
    """``size`` ids from ``inside`` on are ``outside`` and the following on the host."""

    inside: int
    outside: int
    size: int


class IdMapping(msgspec.Struct, frozen=True):
    """Ids of containers as ids of the host; container root is always mapped."""

    uids: tuple[IdRange, ...]
    gids: tuple[IdRange, ...]

    @property
    def root(self) -> tuple[int, int]:
        """Who root of a container is on the host."""
        return to_host(self.uids, 0), to_host(self.gids, 0)


def to_host(ranges: Sequence[IdRange], number: int) -> int:
    """A container's id on the host. Raises InvalidParameterError for one that is not mapped."""
    for each in ranges:
        if each.inside <= number < each.inside + each.size:
            return each.outside + number - each.inside
    raise InvalidParameterError(f"the id {number} is not mapped into the container's user namespace")


def to_container(ranges: Sequence[IdRange], number: int) -> int:
    """A host's id as a container sees it."""
    for each in ranges:
        if each.outside <= number < each.outside + each.size:
            return each.inside + number - each.outside
    return OVERFLOW_ID


def highest(ranges: Sequence[IdRange]) -> int:
    """The highest id that is there in a container."""
    return max(each.inside + each.size for each in ranges) - 1


class UserNamespaces(Protocol):
    """Makes them; ``mapping`` is None where containers are in the host's."""

    @property
    def mapping(self) -> IdMapping | None: ...

    async def create(self, container_id: str, joined: str | None, *, own_network: bool) -> None:
        """Make one, or take the one at the path ``joined``; with a network namespace in it, if the container has one.

        ``close`` is owed, also after an error. Raises InternalError.
        """
        ...

    def close(self, container_id: str) -> None:
        """Drop the engine's own handles, once processes hold it. Idempotent."""
        ...


class ContainerUserNamespaces:
    """User namespaces as containers have them; ``find`` answers any container."""

    def __init__(self, namespaces: UserNamespaces, find: Callable[[str], Container]) -> None:
        self._namespaces, self._find = namespaces, find

    async def open(self, container: Container) -> bool:
        """Whether the container is mapped; its namespaces are made then, and ``close`` is owed.

        Raises ConflictError for one that shares namespaces with a container that is not mapped.
        """
        if not is_mapped(container, self._namespaces.mapping):
            return False
        other = joined_container(container)
        joined = self._of(other) if other is not None else None
        await self._namespaces.create(container.id, joined, own_network=container.settings.has_own_network)
        return True

    def close(self, container_id: str) -> None:
        """See ``UserNamespaces``."""
        self._namespaces.close(container_id)

    def mapping_of(self, container: Container) -> IdMapping | None:
        """None for a container in the host's user namespace."""
        return self._namespaces.mapping if is_mapped(container, self._namespaces.mapping) else None

    def _of(self, container_id: str) -> str:
        other = self._find(container_id)
        if not is_mapped(other, self._namespaces.mapping):
            raise ConflictError(
                f"cannot share namespaces with {container_id}, which is in the host's user namespace: run with "
                "--userns=host too"
            )
        return f"/proc/{other.state.pid}/ns/user"


def is_mapped(container: Container, mapping: IdMapping | None) -> bool:
    """Whether the container gets a user namespace."""
    return mapping is not None and stored_request(container.document).host_config.userns_mode != "host"


def joined_container(container: Container) -> str | None:
    """Whose user namespace it shares, because it shares another one of it."""
    host = stored_request(container.document).host_config
    modes = (container.settings.network, host.pid_mode, host.ipc_mode)
    return next((mode.removeprefix(JOINS) for mode in modes if mode.startswith(JOINS)), None)


def check_user_namespace(host: HostConfig, network: str, mapping: IdMapping | None) -> None:
    """Raises InvalidParameterError for what needs the host's user namespace."""
    if mapping is None or host.userns_mode == "host":
        return
    if host.privileged:
        raise InvalidParameterError(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace "
            "when running privileged mode"
        )
    if network == "host":
        raise InvalidParameterError("cannot share the host's network namespace when user namespaces are enabled")
    if host.pid_mode == "host":
        raise InvalidParameterError("cannot share the host PID namespace when user namespaces are enabled")
