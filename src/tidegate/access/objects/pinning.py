"""Names of other objects in a request, replaced by the full ids that were checked.

An engine takes a name, or any prefix of an id that fits one object only. A client could call its own container like
the beginning of another's id, and rename it between the gate's check and the engine's look: what is sent on must not be
read a second time. Ids of containers and networks are never used again.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tidegate.access.confinement.tree import Tree, as_mapping, mapping, text, texts
from tidegate.access.references import ObjectKind

_CONTAINER = "container:"
_MODES = ("NetworkMode", "PidMode", "IpcMode")


class Pins(msgspec.Struct, frozen=True):
    """Full ids by the kinds and names that stand in the request."""

    ids: Mapping[tuple[ObjectKind | None, str], str] = msgspec.field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.ids)

    def with_id(self, kind: ObjectKind, name: str, object_id: str) -> "Pins":
        """With one more."""
        return Pins({**self.ids, (kind, name): object_id})

    def container(self, name: str) -> str:
        """The id, or the name where it was not looked up."""
        return self.ids.get((ObjectKind.CONTAINER, name), name)

    def network(self, name: str) -> str:
        """Likewise."""
        return self.ids.get((ObjectKind.NETWORK, name), name)

    def mode(self, mode: str) -> str:
        """``container:NAME``, or the name of a network."""
        if mode.startswith(_CONTAINER):
            return _CONTAINER + self.container(mode.removeprefix(_CONTAINER))
        return self.network(mode)


NO_PINS = Pins()


def pin_document(operation_id: str, tree: Tree, pins: Pins) -> Tree:
    """The body with ids for names."""
    if operation_id == "ContainerCreate":
        pinned = _pin_host(tree, pins)
        if tree.get("HostConfig") is not None:
            pinned = {**pinned, "HostConfig": _pin_host(mapping(tree, "HostConfig"), pins)}
        if tree.get("NetworkingConfig") is not None:
            pinned = {**pinned, "NetworkingConfig": _pin_endpoints(mapping(tree, "NetworkingConfig"), pins)}
        return pinned
    if operation_id in ("NetworkConnect", "NetworkDisconnect"):
        pinned = {**tree, "Container": pins.container(text(tree, "Container"))}
        if tree.get("EndpointConfig") is not None:
            pinned["EndpointConfig"] = _pin_endpoint(mapping(tree, "EndpointConfig"), pins)
        return pinned
    return tree


def pin_query(operation_id: str, tree: Tree, pins: Pins) -> Tree:
    """The query with ids for names."""
    if operation_id == "ImageCommit":
        return {**tree, "container": pins.container(text(tree, "container"))}
    if operation_id == "ImageBuild" and text(tree, "networkmode"):
        return {**tree, "networkmode": pins.mode(text(tree, "networkmode"))}
    return tree


def _pin_host(host: Tree, pins: Pins) -> Tree:
    pinned = dict(host)
    for name in _MODES:
        if text(host, name):
            pinned[name] = pins.mode(text(host, name))
    if host.get("VolumesFrom"):
        pinned["VolumesFrom"] = [_pin_first(each, pins) for each in texts(host, "VolumesFrom")]
    if host.get("Links"):
        pinned["Links"] = _pin_links(texts(host, "Links"), pins)
    return pinned


def _pin_first(words: str, pins: Pins) -> str:
    name, colon, rest = words.partition(":")
    return pins.container(name) + colon + rest


def _pin_links(links: Sequence[str], pins: Pins) -> list[str]:
    """A link without an alias is known by the name it was given."""
    return [_pin_first(link if ":" in link else f"{link}:{link.removeprefix('/')}", pins) for link in links]


def _pin_endpoints(networking: Tree, pins: Pins) -> Tree:
    endpoints = mapping(networking, "EndpointsConfig")
    pinned = {
        pins.network(name): endpoint if endpoint is None else _pin_endpoint(as_mapping(endpoint, name), pins)
        for name, endpoint in endpoints.items()
    }
    return {**networking, "EndpointsConfig": pinned}


def _pin_endpoint(endpoint: Tree, pins: Pins) -> Tree:
    pinned = dict(endpoint)
    if text(endpoint, "NetworkID"):
        pinned["NetworkID"] = pins.network(text(endpoint, "NetworkID"))
    if endpoint.get("Links"):
        pinned["Links"] = _pin_links(texts(endpoint, "Links"), pins)
    return pinned
