"""What a request demands beyond what every confined role has."""

from collections.abc import Sequence

from tidegate.access.asked import Asked, Facts
from tidegate.access.demands import Demand, DemandKind


def demands_of(asked: Asked) -> Sequence[Demand]:
    """Every demand of the query and the document, in the order of their fields."""
    return [*_fields(asked.query), *_fields(asked.document)]


def _fields(facts: Facts) -> Sequence[Demand]:
    return [Demand(DemandKind.FIELD, field, field) for field in (*facts.dangerous, *facts.confined)]
