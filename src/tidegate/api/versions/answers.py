"""A view as a client's version shows it: every change since then undone, the newest first."""

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter

from tidegate.api.profile import ApiProfile
from tidegate.api.versions import containers, images, system
from tidegate.api.versions.change import AnswerChange, View

CHANGES: Sequence[AnswerChange] = (*containers.ANSWERS, *images.ANSWERS, *system.ANSWERS)


@lru_cache(maxsize=512)
def changes_since(profile: ApiProfile, kind: str) -> tuple[AnswerChange, ...]:
    """What has changed for this client; clients of one shape get an equal tuple."""
    found = (change for change in CHANGES if change.kind == kind and profile.precedes(change.since))
    return tuple(sorted(found, key=attrgetter("since"), reverse=True))


def shown_to(profile: ApiProfile, kind: str, view: View) -> View:
    """``kind`` is the specification's name of what ``view`` shows in the newest version."""
    for change in changes_since(profile, kind):
        view = change.older(view)
    return view
