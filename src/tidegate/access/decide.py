"""The verdict on one request: allowed, or refused with the reason the client is told.

Whoever the listener let in may do every operation of the catalogue: a certificate of the CA is an administrator's,
and so is a peer on a socket whose mode admits it. An operation the catalogue does not know is refused.
"""

from dataclasses import dataclass

from tidegate.access.principal import Principal


@dataclass(frozen=True, slots=True)
class Verdict:
    """``rule`` names what decided, for the log; ``reason`` is for the client and empty when allowed."""

    allowed: bool
    rule: str
    reason: str = ""


def decide(principal: Principal, operation_id: str | None) -> Verdict:
    """``operation_id`` is None for a request that is no operation of the catalogue."""
    if operation_id is None:
        return Verdict(False, "unknown-operation", "tidegate: this request is no operation of the Docker Engine API")
    return Verdict(True, f"admitted:{type(principal).__name__}")
