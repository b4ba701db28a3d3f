"""What the audit says: one record for each kind of line. Frozen; the fields of the line itself are ``audit_chain``'s.

What is never in a record: a request's body or query (their SHA-256 only), headers (so no ``X-Registry-Auth``), the
environment of a container, anything a client sent beyond names. ``facts`` are what the policy looked at, chosen by it
field by field: names of fields, and values of those that are no secret (an image, a bind's source, a capability).
"""

import hashlib
from enum import StrEnum

import msgspec

from tidegate.spec.audit.chain import TEXT_LIMIT, bounded

_MOST_FACTS_CHARACTERS = 8192


class Kind(StrEnum):
    """``kind`` of a line."""

    SEGMENT = "segment"
    DECISION = "decision"
    OUTCOME = "outcome"
    END = "end"
    REPEATED = "repeated"
    CHECKPOINT = "checkpoint"
    DECOY = "decoy"


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was decided, before it is carried out.

    ``certificate`` is the serial number; ``operation`` an operation id, "-" for a request that is none; ``object`` the
    full id or the name that the path gave; ``rule`` what decided. ``document`` and ``query`` are digests.
    ``suppressed`` counts requests of strangers before this one that were refused and only counted.
    """

    principal: str
    operation: str
    allowed: bool
    rule: str
    role: str = ""
    certificate: str = ""
    address: str = ""
    method: str = ""
    version: str = ""
    object: str = ""
    reason: str = ""
    document: str = ""
    query: str = ""
    facts: dict[str, list[str]] = {}
    suppressed: int = 0


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of the decision on line ``of``. ``object`` is what the operation made, ``error`` why there is none.

    ``stream`` says that the answer has only begun, and that an ``End`` follows; ``received_bytes`` are of a body that
    was passed on as it came.
    """

    of: int
    status: int
    elapsed_ms: float
    object: str = ""
    error: str = ""
    stream: bool = False
    received_bytes: int = 0


class EndedBy(StrEnum):
    """Who ended a stream: ``revoked`` and ``cut`` are the gate's doing, ``stopped`` is the gate's own end."""

    ENGINE = "engine"
    CLIENT = "client"
    REVOKED = "revoked"
    CUT = "cut"
    STOPPED = "stopped"


class End(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the stream ended that the decision on line ``of`` allowed.

    ``elapsed_ms`` is since the request; bytes are those that came from the client and from the engine. A client that
    leaves before the engine has finished has ended it; ``reason`` says more where there is more to say.
    """

    of: int
    elapsed_ms: float
    ended_by: EndedBy
    received_bytes: int = 0
    sent_bytes: int = 0
    reason: str = ""


class Repeated(msgspec.Struct, frozen=True, omit_defaults=True):
    """Requests that were equal to the one on line ``of``, on the same connection, and have no lines of their own.

    ``count`` of them, ``failed`` of which were answered with an error; ``last`` is when the last was answered.
    """

    of: int
    principal: str
    operation: str
    count: int
    last: str
    failed: int = 0
    role: str = ""
    certificate: str = ""
    address: str = ""


class Segment(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where writing begins anew: ``reason`` is genesis, started, rotated, torn or broken.

    ``torn_bytes`` and ``torn_digest`` describe the unfinished line that a crash left at the end of the file before;
    ``lost`` is what was found wrong there.
    """

    reason: str
    pid: int = 0
    torn_bytes: int = 0
    torn_digest: str = ""
    lost: str = ""


class Checkpoint(msgspec.Struct, frozen=True):
    """The signature (Ed25519, base64) over line ``of`` and its hash, made at ``signed_at`` by the key ``key``."""

    of: int
    of_hash: str
    signed_at: str
    key: str
    signature: str


class DecoyVisit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request that the decoy got, and how it answered. What was sent is kept: a stranger has no secrets of ours.

    ``document`` is the text of the body or of a stream's input, up to a limit; ``document_bytes`` and ``digest`` are of
    the whole. ``suppressed`` counts visits before this one that were not recorded: a flood shall not fill the disk.
    """

    address: str
    method: str
    target: str
    operation: str
    status: int
    user_agent: str = ""
    document: str = ""
    document_bytes: int = 0
    digest: str = ""
    suppressed: int = 0


def digest(content: bytes) -> str:
    """How a document stands in the audit; "" for none."""
    return "sha256:" + hashlib.sha256(content).hexdigest() if content else ""


def tidy(record: Decision) -> Decision:
    """The record with everything that a client chose cut to size: a line must fit a datagram."""
    length = len(record.principal) + len(record.object) + len(record.reason) + len(record.role) + len(record.address)
    if length + len(record.rule) <= TEXT_LIMIT and not record.facts:
        return record
    texts = {name: getattr(record, name) for name in ("principal", "object", "reason", "role", "address", "rule")}
    cut = {name: bounded(text) for name, text in texts.items() if len(text) > TEXT_LIMIT}
    facts = _bounded_facts(record.facts) if record.facts else record.facts
    return msgspec.structs.replace(record, **cut, facts=facts) if cut or facts is not record.facts else record


def _bounded_facts(facts: dict[str, list[str]]) -> dict[str, list[str]]:
    if sum(len(name) + sum(map(len, values)) for name, values in facts.items()) <= _MOST_FACTS_CHARACTERS:
        return facts
    return {"cut": [digest(msgspec.json.encode(facts))]}
