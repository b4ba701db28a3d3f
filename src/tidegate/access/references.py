"""Objects of the engine as requests speak of them."""

from enum import StrEnum

import msgspec


class ObjectKind(StrEnum):
    """What a name or an id in a request stands for."""

    CONTAINER = "container"
    EXEC = "exec"
    IMAGE = "image"
    VOLUME = "volume"
    NETWORK = "network"


class ObjectReference(msgspec.Struct, frozen=True):
    """``may_be_absent``: the request is fine when there is no such object, as with a volume that a mount makes.

    ``make_first``: such a volume would be made without labels; the gate makes it, labelled, before it forwards.
    """

    kind: ObjectKind
    name_or_id: str
    may_be_absent: bool = False
    make_first: bool = False
