"""The verdict on one request, and what the gate must still do to carry it out.

- A refusal has a reason that names the field or the operation and says how to mend it.
- ``must_own``: objects the gate resolves through the engine before it forwards. Each has to carry the client's owner
  label, or the answer is 404 as if it did not exist. The decision is pure and cannot look.
- ``own_only``: the answer shows, or the prune takes, only what carries the client's owner label.
- ``sign``: what of that which is created gets the client's owner label.
"""

from collections.abc import Mapping
from enum import Enum

import msgspec

from tidegate.access.demands import Demand
from tidegate.access.references import ObjectKind, ObjectReference

__all__ = ["ObjectKind", "ObjectReference", "Redaction", "Verdict"]


class Redaction(Enum):
    """Whose secrets are left out of an answer."""

    NOBODYS = "nobody's"
    FOREIGN = "those of objects the client does not own"
    EVERYBODYS = "everybody's"


class Signing(Enum):
    """What gets the client's label: ``CONTAINER`` leaves out the volumes that its mounts make."""

    NOTHING = "nothing"
    CONTAINER = "the container"
    ALL = "all that is made"


class Verdict(msgspec.Struct, frozen=True):
    """``rule`` names what decided, for log, audit and explanation; ``reason`` is for the client, "" when allowed."""

    allowed: bool
    rule: str
    reason: str = ""
    role: str = ""
    own_only: bool = False
    redact: Redaction = Redaction.NOBODYS
    sign: Signing = Signing.NOTHING
    must_own: tuple[ObjectReference, ...] = ()
    demands: tuple[Demand, ...] = ()

    @property
    def facts(self) -> Mapping[str, list[str]]:
        """What the request demanded, by kind: what the audit keeps of a document, and policies are learned from."""
        found: dict[str, dict[str, None]] = {}
        for demand in self.demands:
            found.setdefault(demand.kind.value, {})[demand.pattern] = None
        return {kind: list(patterns) for kind, patterns in found.items()}
