"""Labels that only the gate writes: those that begin with ``tidegate.``."""

import re
from collections.abc import Iterable, Iterator

from tidegate.access.demands import Demand, DemandKind
from tidegate.spec.container import OWN_LABELS

_IN_INSTRUCTION = re.compile(r"\btidegate\\*\.", re.IGNORECASE)


def reserved_labels(labels: Iterable[str], field: str) -> Iterator[Demand]:
    """A demand for each label that is not the client's to write."""
    for label in labels:
        if label.startswith(OWN_LABELS):
            yield Demand(DemandKind.FIELD, field, label)


def labels_in_changes(changes: Iterable[str], field: str) -> Iterator[Demand]:
    """``changes`` are lines of a Dockerfile, whose quoting is not read here: what may be such a label is one."""
    for change in changes:
        words = change.strip().split(maxsplit=1)
        if len(words) > 1 and words[0].upper() in ("LABEL", "ONBUILD") and _may_reserve(words[1]):
            yield Demand(DemandKind.FIELD, field, change)


def _may_reserve(text: str) -> bool:
    plain = re.sub(r"[\\\"'$\s]", "", text)
    return bool(_IN_INSTRUCTION.search(plain)) or OWN_LABELS in plain.lower()
