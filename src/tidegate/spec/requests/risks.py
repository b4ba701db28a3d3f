"""What a field, a query parameter or an operation can do to the host, in three classes, and why.

- HARMLESS: whatever its value, it reaches no further than the container, volume or image it describes.
- CONFINED: the value decides; a rule must have looked at it.
- DANGEROUS: it reaches the host, or secrets of others, by itself.

The classes themselves are literal tables: ``container_risks.py``, ``object_risks.py``, ``swarm_risks.py`` by document
and field, ``query_risks.py`` by operation and parameter, ``operation_risks.py`` by operation. What stands in none of
them has no class, which is a failing test.
"""

from collections.abc import Mapping
from enum import Enum

import msgspec


class Risk(Enum):
    """Ordered by what it takes to allow it."""

    HARMLESS = "harmless"
    CONFINED = "confined"
    DANGEROUS = "dangerous"


class Class(msgspec.Struct, frozen=True):
    """``reason`` is one line, empty for what is harmless."""

    risk: Risk
    reason: str = ""


Classes = Mapping[str, Class]
HARMLESS = Class(Risk.HARMLESS)


def classes(
    harmless: str = "", *, confined: Mapping[str, str] | None = None, dangerous: Mapping[str, str] | None = None
) -> Classes:
    """A table: ``harmless`` are names between spaces, the others map names (several between spaces) to their reason.

    Raises ValueError when a name has two classes: the tables are ours.
    """
    table = dict.fromkeys(harmless.split(), HARMLESS)
    for risk, reasons in ((Risk.CONFINED, confined), (Risk.DANGEROUS, dangerous)):
        for names, reason in (reasons or {}).items():
            for name in names.split():
                if name in table:
                    raise ValueError(f"{name} has two classes")
                table[name] = Class(risk, reason)
    return table
