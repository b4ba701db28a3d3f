"""Parameters of queries that older versions do not know: sent by such a client, they say nothing, as in Docker.

Source: the version history of the Engine API, and moby's routers, which leave them unread.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache

from tidegate.api.profile import ApiProfile
from tidegate.spec.api_version import ApiVersion

SINCE: Mapping[tuple[str, str], ApiVersion] = {
    ("ContainerCreate", "platform"): (1, 41),
    ("ContainerStop", "signal"): (1, 42),
    ("ContainerRestart", "signal"): (1, 42),
    ("ContainerStats", "one-shot"): (1, 41),
    ("ContainerWait", "condition"): (1, 30),
    ("ImageList", "shared-size"): (1, 42),
    ("ImageList", "manifests"): (1, 47),
    ("ImageList", "identity"): (1, 54),
    ("ImageInspect", "manifests"): (1, 48),
    ("ImageInspect", "platform"): (1, 49),
    ("ImageHistory", "platform"): (1, 48),
    ("ImageCreate", "platform"): (1, 32),
    ("ImageGet", "platform"): (1, 48),
    ("ImageGetAll", "platform"): (1, 48),
    ("ImageLoad", "platform"): (1, 48),
    ("ImageDelete", "platforms"): (1, 50),
    ("SystemDataUsage", "type"): (1, 42),
    ("SystemDataUsage", "verbose"): (1, 52),
}


@lru_cache(maxsize=1024)
def unknown_parameters(profile: ApiProfile, operation_id: str) -> Collection[str]:
    """Those of the operation that this client cannot mean."""
    return frozenset(
        name for (operation, name), since in SINCE.items() if operation == operation_id and profile.precedes(since)
    )
