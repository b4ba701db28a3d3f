"""The container operations that carry a document or a telling query: create, update, exec, commit, start, top.

Engines up to 24 read the fields of ``HostConfig`` at the top of a create's document too: they are looked at there and
here by the same rules.
"""

import re
from collections.abc import Iterator, Sequence

from tidegate.access.asked import Asked
from tidegate.access.confinement.host_paths import target_claims, working_directory_claims
from tidegate.access.confinement.images import image_claims, repository_claims
from tidegate.access.confinement.isolation import LOOKED_AT as ISOLATION_FIELDS
from tidegate.access.confinement.isolation import isolation_claims
from tidegate.access.confinement.labels import labels_in_changes, reserved_labels
from tidegate.access.confinement.mounts import LOOKED_AT as MOUNT_FIELDS
from tidegate.access.confinement.mounts import mount_claims
from tidegate.access.confinement.networking import (
    ENDPOINT_FIELDS,
    HOST_FIELDS,
    endpoints_claims,
    link_claims,
    mode_claims,
    port_claims,
)
from tidegate.access.confinement.tree import Tree, flag, mapping, text, texts
from tidegate.access.demands import Demand, DemandKind
from tidegate.access.references import ObjectKind, ObjectReference

Claims = Iterator[Demand | ObjectReference]

_HOST = ISOLATION_FIELDS | MOUNT_FIELDS | HOST_FIELDS
_ENDPOINTS = "NetworkingConfig.EndpointsConfig"
CREATE_FIELDS = (
    {"Image", "Labels", "Volumes", _ENDPOINTS}
    | _HOST
    | {f"HostConfig.{name}" for name in _HOST}
    | {f"{_ENDPOINTS}.{name}" for name in ENDPOINT_FIELDS}
)
UPDATE_FIELDS = ISOLATION_FIELDS
EXEC_FIELDS = frozenset({"Privileged"})
COMMIT_FIELDS = frozenset({"Labels", "Volumes", "Image"})
COMMIT_QUERY = frozenset({"container", "repo", "tag", "changes"})
START_QUERY = frozenset({"checkpoint", "checkpoint-dir"})
TOP_QUERY = frozenset({"ps_args"})
# What ps(1) may be asked; "e" among options without a dash, or taken for such, shows the environment of processes.
_PS_COLUMNS = (
    "%cpu|%mem|args|c|cmd|comm|command|cputime|egid|egroup|etime|etimes|euid|euser|f|gid|group|lstart|lwp|ni|nlwp|pcpu"
    "|pgid|pid|pmem|ppid|pri|psr|rgroup|rss|ruser|s|sid|start|start_time|stat|state|stime|sz|tid|time|tt|tty|uid|user"
    "|vsz|wchan"
)
_PS_ARGUMENTS = re.compile(
    rf"-?[aAdfFjlLTuvxXwHcp]+|-e[fFjlLyo]*|-?o|(?:{_PS_COLUMNS})(?:,(?:{_PS_COLUMNS}))*", re.ASCII
)


def create_claims(asked: Asked) -> Claims:
    """``ContainerCreate``."""
    tree = asked.document.tree
    yield from image_claims(text(tree, "Image"), "Image")
    yield from reserved_labels(mapping(tree, "Labels"), "Labels")
    yield from _config_claims(tree)
    yield from _environment_claims(texts(tree, "Env"))
    yield from _host_claims(tree, "")
    yield from _host_claims(mapping(tree, "HostConfig"), "HostConfig.")
    yield from endpoints_claims(mapping(tree, "NetworkingConfig"), "NetworkingConfig")


def _config_claims(tree: Tree) -> Iterator[Demand]:
    yield from working_directory_claims(text(tree, "WorkingDir"), "WorkingDir")
    for path in mapping(tree, "Volumes"):
        yield from target_claims(path, "Volumes")
        # Podman reads a key with a colon as a bind.
        if ":" in path or not path.startswith("/"):
            yield Demand(DemandKind.FIELD, "Volumes", path)


def _environment_claims(variables: Sequence[str]) -> Iterator[Demand]:
    """Podman takes ``NAME*`` for all variables of its own process that begin so."""
    for variable in variables:
        if "=" not in variable and "*" in variable:
            yield Demand(DemandKind.FIELD, "Env", variable)


def _host_claims(host: Tree, prefix: str) -> Claims:
    yield from mount_claims(host, prefix)
    yield from isolation_claims(host, prefix)
    yield from mode_claims(text(host, "NetworkMode"), f"{prefix}NetworkMode")
    yield from port_claims(host, prefix)
    yield from link_claims(host, "Links")


def update_claims(asked: Asked) -> Claims:
    """``ContainerUpdate``."""
    yield from isolation_claims(asked.document.tree, "")


def exec_claims(asked: Asked) -> Claims:
    """``ContainerExec``."""
    yield from working_directory_claims(text(asked.document.tree, "WorkingDir"), "WorkingDir")
    if flag(asked.document.tree, "Privileged"):
        yield Demand(DemandKind.FIELD, "Privileged", "true")


def commit_claims(asked: Asked) -> Claims:
    """``ImageCommit``: takes out of a container all that is in it."""
    query = asked.query.tree
    yield ObjectReference(ObjectKind.CONTAINER, text(query, "container"))
    yield from labels_in_changes(texts(query, "changes"), "changes")
    yield from reserved_labels(mapping(asked.document.tree, "Labels"), "Labels")
    yield from _config_claims(asked.document.tree)
    yield from repository_claims(text(query, "repo"), "repo")


def start_claims(asked: Asked) -> Claims:
    """``ContainerStart``: a checkpoint directory is a path of the host."""
    for name in sorted(START_QUERY):
        if text(asked.query.tree, name):
            yield Demand(DemandKind.FIELD, name, text(asked.query.tree, name))


def top_claims(asked: Asked) -> Claims:
    """``ContainerTop``: the engine runs ps(1) on the host with these arguments."""
    for argument in text(asked.query.tree, "ps_args").split():
        if not _PS_ARGUMENTS.fullmatch(argument):
            yield Demand(DemandKind.FIELD, "ps_args", argument)
