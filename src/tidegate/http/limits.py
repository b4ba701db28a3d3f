"""What one connection may demand of a server before it is refused or let go.

- A stranger gets ten seconds for a head and a client ninety between requests.
- A document has to be whole in time. An upload may take as long as it progresses.
- What a taken-over connection carries has no limits here: a terminal may be silent for days.
"""

import msgspec


class BodyPatience(msgspec.Struct, frozen=True):
    """How long is waited for the next bytes of a body, and for a document as a whole (``read_all``)."""

    stall_s: float
    document_s: float


class Limits(msgspec.Struct, frozen=True):
    """Sizes and times. ``body_bytes`` None leaves bodies to the handlers' own limits.

    ``connections`` is for all together: those beyond it are cut off.
    """

    head_bytes: int = 32 * 1024
    headers: int = 100
    body_bytes: int | None = None
    header_timeout_s: float = 10.0
    idle_timeout_s: float = 90.0
    stall_timeout_s: float = 120.0
    document_timeout_s: float = 60.0
    connections: int | None = None

    @property
    def shortest_s(self) -> float:
        """The shortest of the times."""
        return min(self.header_timeout_s, self.idle_timeout_s, self.stall_timeout_s, self.document_timeout_s)

    @property
    def patience(self) -> BodyPatience:
        """The times of bodies."""
        return BodyPatience(self.stall_timeout_s, self.document_timeout_s)
