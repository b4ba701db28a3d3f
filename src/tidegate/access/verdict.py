"""The verdict on one request, and what the gate must still do to carry it out.

- A refusal has a reason that names the field or the operation and says how to mend it.
- ``must_own``: objects the gate resolves through the engine before it forwards. Each has to carry the client's owner
  label, or the answer is 404 as if it did not exist. The decision is pure and cannot look.
- ``own_only``: the answer shows, or the prune takes, only what carries the client's owner label.
- ``sign``: what is created gets the client's owner label.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum


class ObjectKind(StrEnum):
    """What a name or an id in a request stands for."""

    CONTAINER = "container"
    EXEC = "exec"
    IMAGE = "image"
    VOLUME = "volume"
    NETWORK = "network"


class Redaction(Enum):
    """Whose secrets are left out of an answer."""

    NOBODYS = "nobody's"
    FOREIGN = "those of objects the client does not own"
    EVERYBODYS = "everybody's"


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """``may_be_absent``: the request is fine when there is no such object, as with a volume that a mount makes.

    ``make_first``: such a volume would be made without labels; the gate makes it, labelled, before it forwards.
    """

    kind: ObjectKind
    name_or_id: str
    may_be_absent: bool = False
    make_first: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """``rule`` names what decided, for log, audit and explanation; ``reason`` is for the client, "" when allowed."""

    allowed: bool
    rule: str
    reason: str = ""
    role: str = ""
    own_only: bool = False
    redact: Redaction = Redaction.NOBODYS
    sign: bool = False
    must_own: tuple[ObjectReference, ...] = ()
