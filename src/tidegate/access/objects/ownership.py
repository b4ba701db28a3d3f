"""Whose an object is: a label that the gate writes, and everything that follows from it.

- ``sign`` puts the label on what a request makes; ``own_filters`` asks the engine for labelled objects only;
  ``keep_own`` takes the others out of an answer, because engines differ in how they combine filters of one name.
- A committed image has its container's label. Images that were pulled or loaded are nobody's.
- Clients cannot write the label: ``confinement.labels`` refuses it to all but administrators.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tidegate.access.confinement.tree import Tree, documents, mapping, text
from tidegate.access.reach import LISTS, PRUNES

OWNER_LABEL = "tidegate.owner"

Filters = Mapping[str, Sequence[str]]


def administrators(owner: str) -> str:
    """What is written on a container that an administrator makes: nobody's who is confined, in whatever role later.

    Else a client that was an administrator once would own a privileged container, and with it the host.
    """
    return f"admin:{owner}"


def owner_in(labels: object) -> str:
    """The owner that the labels of an object tell, "" for none."""
    owner = labels.get(OWNER_LABEL) if isinstance(labels, Mapping) else None
    return owner if isinstance(owner, str) else ""


def sign_document(operation_id: str, tree: Tree, owner: str, *, volumes: bool = True) -> Tree:
    """The body with the owner's label on what it makes; the same tree for an operation that makes nothing.

    ``volumes``: those that the mounts of a container make too; it is then of a client that is confined.
    """
    if operation_id not in ("ContainerCreate", "VolumeCreate", "NetworkCreate"):
        return tree
    signed = _labelled(tree, owner)
    host = tree.get("HostConfig")
    if volumes and operation_id == "ContainerCreate" and isinstance(host, Mapping):
        return {**signed, "HostConfig": _signed_host(host, owner)}
    return signed


def _signed_host(host: Tree, owner: str) -> Tree:
    """``ContainerIDFile`` is a file of the client: Docker ignores it, Podman removes it with the container, as root."""
    kept = {name: value for name, value in host.items() if name != "ContainerIDFile"}
    if host.get("Mounts"):
        kept["Mounts"] = [_signed_mount(mount, owner) for mount in documents(host, "Mounts")]
    return kept


def sign_query(operation_id: str, tree: Tree, owner: str) -> Tree:
    """The query of a build with the owner's label for the image; any other query as it is."""
    if operation_id != "ImageBuild":
        return tree
    return {**tree, "labels": {**mapping(tree, "labels"), OWNER_LABEL: owner}}


def _labelled(tree: Tree, owner: str) -> Tree:
    return {**tree, "Labels": {**mapping(tree, "Labels"), OWNER_LABEL: owner}}


def _signed_mount(mount: Tree, owner: str) -> Tree:
    if text(mount, "Type") != "volume":
        return mount
    return {**mount, "VolumeOptions": _labelled(mapping(mount, "VolumeOptions"), owner)}


def own_filters(filters: Filters, owner: str) -> Filters:
    """Filters of a list, of events or of a prune that leave what is not the owner's alone."""
    wanted = f"{OWNER_LABEL}={owner}"
    return {**filters, "label": (*(label for label in filters.get("label", ()) if label != wanted), wanted)}


def takes_own_filters(operation_id: str) -> bool:
    """Whether the operation has filters, and ``own_filters`` make it the owner's only."""
    return operation_id in LISTS | PRUNES


def keep_own(operation_id: str, answer: object, owner: str) -> object:
    """The answer of a list, or one event of a stream, without what is not the owner's; None for nothing at all."""
    keep = _KEEPERS.get(operation_id)
    return keep(answer, owner) if keep else answer


def _keep_rows(answer: object, owner: str) -> object:
    rows = answer if isinstance(answer, list) else []
    return [row for row in rows if isinstance(row, Mapping) and owner_in(row.get("Labels")) == owner]


def _keep_volumes(answer: object, owner: str) -> object:
    if not isinstance(answer, Mapping):
        return None
    return {**answer, "Volumes": _keep_rows(answer.get("Volumes"), owner)}


def _keep_event(answer: object, owner: str) -> object:
    actor = answer.get("Actor") if isinstance(answer, Mapping) else None
    attributes = actor.get("Attributes") if isinstance(actor, Mapping) else None
    return answer if owner_in(attributes) == owner else None


_KEEPERS: Mapping[str, Callable[[object, str], object]] = MappingProxyType(
    {
        "ContainerList": _keep_rows,
        "NetworkList": _keep_rows,
        "VolumeList": _keep_volumes,
        "SystemEvents": _keep_event,
    }
)
