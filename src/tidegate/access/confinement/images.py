"""Images: where they come from and go to, and builds.

A Dockerfile is not read: its ``FROM`` pulls from wherever it says, and its ``RUN`` has a container's confinement.
"""

from collections.abc import Iterator

from tidegate.access.asked import Asked
from tidegate.access.confinement.isolation import security_claims, ulimit_claims
from tidegate.access.confinement.labels import labels_in_changes, reserved_labels
from tidegate.access.confinement.networking import mode_claims
from tidegate.access.confinement.tree import Tree, documents, mapping, text, texts
from tidegate.access.demands import Demand, DemandKind
from tidegate.access.references import ObjectReference
from tidegate.base.errors import InvalidParameterError
from tidegate.spec.credentials import registry_host
from tidegate.spec.references import DEFAULT_DOMAIN, is_digest, is_identifier, parse_reference

Claims = Iterator[Demand | ObjectReference]

BUILD_QUERY = frozenset(
    {
        "cachefrom",
        "cgroupparent",
        "isolation",
        "labels",
        "networkmode",
        "outputs",
        "outputs.Attrs",
        "outputs.Type",
        "remote",
        "securityopt",
        "t",
        "ulimits",
    }
)
CREATE_QUERY = frozenset({"changes", "fromImage", "fromSrc", "repo", "tag"})
AUTH_FIELDS = frozenset({"serveraddress"})
SEARCH_QUERY = frozenset({"term"})
_HARMLESS_REMOTES = frozenset({"", "client-session"})
# Exporters that give the result to the client, or to the engine's own images.
_OUTPUTS = frozenset({"", "local", "tar", "docker", "moby", "image", "cacheonly"})
# Podman takes a name with one of these before a colon for a file or a store of the host.
_TRANSPORTS = frozenset(
    ["containers-storage", "dir", "docker-archive", "docker-daemon", "oci", "oci-archive", "ostree", "sif", "tarball"]
)


def image_claims(image: str, field: str) -> Iterator[Demand]:
    """An image to run: an id is here already, a name belongs to a registry."""
    if image and not is_identifier(image) and not is_digest(image):
        yield from repository_claims(image, field)


def repository_claims(name: str, field: str) -> Iterator[Demand]:
    """The registry of a name; a name no registry could have is refused as a field."""
    if not name:
        return
    if name.partition(":")[0] in _TRANSPORTS and ":" in name:
        yield Demand(DemandKind.FIELD, field, name)
        return
    try:
        yield Demand(DemandKind.REGISTRY, field, parse_reference(name).domain.lower())
    except InvalidParameterError:
        yield Demand(DemandKind.FIELD, field, name)


def create_claims(asked: Asked) -> Claims:
    """``ImageCreate``: a pull, or an import of the body or of a URL that the engine would fetch."""
    query = asked.query.tree
    source = text(query, "fromSrc")
    if source not in ("", "-"):
        yield Demand(DemandKind.URL, "fromSrc", source)
    yield from repository_claims(text(query, "fromImage"), "fromImage")
    yield from repository_claims(text(query, "repo"), "repo")
    yield from labels_in_changes(texts(query, "changes"), "changes")


def named_claims(asked: Asked) -> Claims:
    """Operations that speak to the registry of the image in their path."""
    yield from repository_claims(asked.object_id, "image name")


def tag_claims(asked: Asked) -> Claims:
    """``ImageTag``."""
    yield from repository_claims(text(asked.query.tree, "repo"), "repo")


def search_claims(asked: Asked) -> Claims:
    """``ImageSearch``: a term may begin with the host to ask."""
    term = text(asked.query.tree, "term")
    first, slash, _ = term.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    yield Demand(DemandKind.REGISTRY, "term", first.lower() if is_host else DEFAULT_DOMAIN)


def auth_claims(asked: Asked) -> Claims:
    """``SystemAuth``: the engine calls the address."""
    address = text(asked.document.tree, "serveraddress")
    yield Demand(DemandKind.REGISTRY, "serveraddress", registry_host(address))


def credential_claims(asked: Asked) -> Iterator[Demand]:
    """An account that is sent along goes to the registry that it names."""
    for host in asked.registries:
        yield registry_demand(host)


def registry_demand(host: str) -> Demand:
    """What sending an account at ``host`` along asks for."""
    return Demand(DemandKind.REGISTRY, "serveraddress of the credentials", host)


def build_claims(asked: Asked) -> Claims:
    """``ImageBuild``."""
    query = asked.query.tree
    if text(query, "remote") not in _HARMLESS_REMOTES:
        yield Demand(DemandKind.URL, "remote", text(query, "remote"))
    dockerfile = text(query, "dockerfile")
    # Podman reads a list in JSON there, whose escapes can spell anything.
    if ".." in dockerfile.split("/") or dockerfile.startswith("["):
        yield Demand(DemandKind.FIELD, "dockerfile", dockerfile)
    yield from mode_claims(text(query, "networkmode"), "networkmode")
    yield from security_claims(texts(query, "securityopt"), "securityopt")
    yield from ulimit_claims(query, "ulimits", "ulimits")
    yield from reserved_labels(mapping(query, "labels"), "labels")
    for name in ("cgroupparent", "isolation"):
        if text(query, name):
            yield Demand(DemandKind.FIELD, name, text(query, name))
    for name in texts(query, "cachefrom"):
        yield from image_claims(name, "cachefrom")
    for name in texts(query, "t"):
        yield from repository_claims(name, "t")
    yield from _outputs(query)


def _outputs(query: Tree) -> Iterator[Demand]:
    for output in documents(query, "outputs"):
        kind = text(output, "Type")
        if kind not in _OUTPUTS or mapping(output, "Attrs").get("push") not in (None, "false"):
            yield Demand(DemandKind.FIELD, "outputs", kind)
