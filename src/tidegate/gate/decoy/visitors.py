"""What the decoy remembers of its visitors, so that its answers to each agree with each other.

Every visitor, by address, meets an engine of his own: he sees what he made and nobody else's. All of it is bounded, and
the oldest is forgotten first.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Generic, TypeVar

MOST_VISITORS = 256
MOST_CONTAINERS = 16
MOST_EXECS = 32
MOST_IMAGES = 8
_SHORTEST_ID = 4

V = TypeVar("V")


class Bounded(Generic[V]):
    """A mapping of at most ``most`` entries."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[str, V] = OrderedDict()

    def put(self, key: str, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def get(self, key: str) -> V | None:
        return self._entries.get(key)

    def pop(self, key: str) -> None:
        self._entries.pop(key, None)

    def values(self) -> list[V]:
        return list(self._entries.values())


@dataclass(slots=True)
class Container:
    """One that a visitor believes he has."""

    id: str
    name: str
    image: str
    command: str
    tty: bool
    running: bool = False


@dataclass(slots=True)
class Exec:
    """Likewise."""

    id: str
    container_id: str
    tty: bool


@dataclass(slots=True)
class Visitor:
    """Somebody's engine."""

    containers: Bounded[Container] = field(default_factory=lambda: Bounded(MOST_CONTAINERS))
    execs: Bounded[Exec] = field(default_factory=lambda: Bounded(MOST_EXECS))
    images: Bounded[str] = field(default_factory=lambda: Bounded(MOST_IMAGES))

    def find(self, name_or_id: str) -> Container | None:
        """By id, the beginning of one, or name."""
        for container in self.containers.values():
            begins = len(name_or_id) >= _SHORTEST_ID and container.id.startswith(name_or_id)
            if begins or container.name == name_or_id:
                return container
        return None


class Visitors:
    """By address without the port."""

    def __init__(self) -> None:
        self._visitors: Bounded[Visitor] = Bounded(MOST_VISITORS)

    def of(self, address: str) -> Visitor:
        """The visitor's engine; a new one for who was never here, or long ago."""
        host = address.rpartition(":")[0]
        visitor = self._visitors.get(host) or Visitor()
        self._visitors.put(host, visitor)
        return visitor


def new_id() -> str:
    """As Docker's: 64 hexadecimal digits."""
    return token_hex(32)
