"""The directory of containers: by id, by name, by a unique prefix of the id. Names are reserved here.

A name belongs to one container from before its record is stored until its removal is complete.
"""

import re
import secrets
from collections.abc import Iterator, Mapping

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.engine.containers.actor import ContainerActor

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_ADJECTIVES = (
    "brave",
    "calm",
    "clever",
    "deep",
    "eager",
    "gentle",
    "keen",
    "lively",
    "lucid",
    "proud",
    "quiet",
    "swift",
)
_NOUNS = (
    "anchor",
    "beacon",
    "current",
    "estuary",
    "harbor",
    "heron",
    "lagoon",
    "marsh",
    "otter",
    "reef",
    "shoal",
    "tide",
)


class ContainerDirectory:
    """Every container that exists, and who has which name."""

    def __init__(self) -> None:
        self._actors: dict[str, ContainerActor] = {}
        self._ids: dict[str, str] = {}

    def __iter__(self) -> Iterator[ContainerActor]:
        return iter(tuple(self._actors.values()))

    @property
    def names(self) -> Mapping[str, str]:
        """Name to id."""
        return self._ids

    def add(self, actor: ContainerActor) -> None:
        """Make it findable."""
        self._actors[actor.container.id] = actor

    def forget(self, container_id: str) -> None:
        """It is gone; its names are free."""
        self._actors.pop(container_id, None)
        for name in [name for name, owner in self._ids.items() if owner == container_id]:
            del self._ids[name]

    def get(self, container_id: str) -> ContainerActor | None:
        """By its full id."""
        return self._actors.get(container_id)

    def reserve(self, name: str, container_id: str) -> str:
        """Give the name to the container; "" picks a free one. Returns it.

        Raises InvalidParameterError for a malformed name, ConflictError for a taken one.
        """
        name = name.removeprefix("/") or self._free_name()
        if not NAME.fullmatch(name):
            raise InvalidParameterError(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        if name in self._ids:
            raise ConflictError(
                f'Conflict. The container name "/{name}" is already in use by container "{self._ids[name]}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        self._ids[name] = container_id
        return name

    def release(self, name: str) -> None:
        """Free the name."""
        self._ids.pop(name, None)

    def resolve(self, name_or_id: str) -> ContainerActor:
        """Full id, then name, then a unique prefix of an id. Raises NotFoundError, InvalidParameterError."""
        name = name_or_id.removeprefix("/")
        actor = self._actors.get(name) or self._actors.get(self._ids.get(name, ""))
        if actor is not None:
            return actor
        matches = [identity for identity in self._actors if name and identity.startswith(name)]
        if len(matches) > 1:
            raise InvalidParameterError(f"multiple IDs found with provided prefix: {name_or_id}")
        if not matches:
            raise NotFoundError(f"No such container: {name_or_id}")
        return self._actors[matches[0]]

    def _free_name(self) -> str:
        name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_NOUNS)}"
        while name in self._ids:
            name = f"{name.rstrip('0123456789')}{secrets.randbelow(100_000)}"
        return name
