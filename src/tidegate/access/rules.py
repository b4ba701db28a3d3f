"""Rules of the administrator's own, as the decision asks them; ``cedar`` is the engine.

A question is about an operation, or about one demand of its document. A rule may permit what the role does not reach or
was not granted, or forbid what it does; most are silent on most questions, and then the role decides.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from tidegate.access.principal import Principal

Value = str | int | bool | Sequence[str]


class Answer(Enum):
    """What the rules say to a question."""

    PERMIT = "permit"
    FORBID = "forbid"
    SILENT = "silent"


class Question(msgspec.Struct, frozen=True):
    """``action`` is an operation id or the name of a kind of demand, ``thing`` what it is done to."""

    action: str
    thing: str
    context: Mapping[str, Value]


class Ruling(msgspec.Struct, frozen=True):
    """``rule`` names the rule that decided, by its ``@id`` or by file and line."""

    answer: Answer
    rule: str = ""


SILENCE = Ruling(Answer.SILENT)


class Rules(Protocol):
    """An engine with rules in it."""

    def ask(self, principal: Principal, role_name: str, questions: Sequence[Question]) -> Sequence[Ruling]:
        """One ruling for each question. A rule that fails while it is evaluated forbids: nothing is skipped."""
        ...
