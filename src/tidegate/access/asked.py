"""What a client asks, as the decision sees it: an operation of the catalogue and everything the request says.

Built from what ``spec`` read by Go's rules; the decision never sees raw bytes, and what is forwarded is the canonical
form of exactly this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


def _nothing() -> Mapping[str, object]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Facts:
    """One document or query, read: ``tree`` has canonical keys.

    ``unknown`` are the fields nobody knows. ``confined`` and ``dangerous`` are the fields that have a value other than
    zero and whose class is not harmless, in the notation ``HostConfig.Mounts[].Type``.
    """

    tree: Mapping[str, object] = field(default_factory=_nothing)
    unknown: tuple[str, ...] = ()
    confined: tuple[str, ...] = ()
    dangerous: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """``object_id`` is the ``{id}`` or ``{name}`` of the path, "" where the operation has none.

    A body that is a stream (a build context, an archive, a hijacked connection) has no facts.
    """

    operation_id: str
    object_id: str = ""
    query: Facts = field(default_factory=Facts)
    document: Facts = field(default_factory=Facts)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a client's objects take already, without the one that is asked about."""

    containers: int = 0
    memory_bytes: int = 0
    nano_cpus: int = 0
    published_ports: int = 0
