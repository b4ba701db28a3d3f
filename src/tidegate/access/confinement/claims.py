"""The rules by operation, and the backstop for every field that no rule looked at."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from tidegate.access.asked import Asked, Facts
from tidegate.access.confinement import containers, images, networking, volumes
from tidegate.access.confinement.tree import mapping, text
from tidegate.access.demands import Demand, DemandKind
from tidegate.access.references import ObjectKind, ObjectReference

Claim = Demand | ObjectReference


class _Rule(msgspec.Struct, frozen=True):
    """``document`` and ``query`` are the fields that ``claims`` looks at, without the marks of lists and maps."""

    claims: Callable[[Asked], Iterator[Claim]]
    document: Collection[str] = ()
    query: Collection[str] = ()


def claims_of(asked: Asked) -> Sequence[Claim]:
    """Every claim of the query and the document; those about fields are told with the operation's id."""
    rule = _RULES.get(asked.operation_id, _NO_RULE)
    found = [*rule.claims(asked), *images.credential_claims(asked)]
    found += [*_backstop(asked.query, rule.query), *_backstop(asked.document, rule.document)]
    return [_with_operation(claim, asked.operation_id) for claim in found]


def looked_at(operation_id: str) -> frozenset[str]:
    """The fields and parameters that a rule looks at."""
    rule = _RULES.get(operation_id, _NO_RULE)
    return frozenset({*rule.document, *rule.query})


def _backstop(facts: Facts, looked_at: Collection[str]) -> Iterator[Demand]:
    for path in (*facts.dangerous, *facts.confined):
        if plain_path(path) not in looked_at:
            yield Demand(DemandKind.FIELD, path, "*")


def plain_path(path: str) -> str:
    """``HostConfig.Mounts[].Type`` as rules name it: ``HostConfig.Mounts.Type``."""
    return path.replace("[]", "").replace("{}", "")


def _with_operation(claim: Claim, operation_id: str) -> Claim:
    if isinstance(claim, Demand) and claim.kind is DemandKind.FIELD:
        return replace(claim, value=f"{operation_id}.{claim.field}={claim.value}")
    return claim


def _nothing(_asked: Asked) -> Iterator[Claim]:
    return iter(())


def _network_create(asked: Asked) -> Iterator[Claim]:
    return networking.create_claims(asked.document.tree)


def _network_connect(asked: Asked) -> Iterator[Claim]:
    tree = asked.document.tree
    yield from networking.mode_claims(asked.object_id, "network")
    yield ObjectReference(ObjectKind.CONTAINER, text(tree, "Container"))
    yield from networking.endpoint_claims(mapping(tree, "EndpointConfig"), "EndpointConfig")


_NO_RULE = _Rule(_nothing)
_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "ContainerCreate": _Rule(containers.create_claims, containers.CREATE_FIELDS),
        "ContainerUpdate": _Rule(containers.update_claims, containers.UPDATE_FIELDS),
        "ContainerExec": _Rule(containers.exec_claims, containers.EXEC_FIELDS),
        "ContainerStart": _Rule(containers.start_claims, query=containers.START_QUERY),
        "ContainerTop": _Rule(containers.top_claims, query=containers.TOP_QUERY),
        # The engine resolves the path inside the container, which is the client's: touching it says so.
        **dict.fromkeys(
            ("ContainerArchive", "ContainerArchiveInfo", "PutContainerArchive"), _Rule(_nothing, query={"path"})
        ),
        "ImageCommit": _Rule(containers.commit_claims, containers.COMMIT_FIELDS, containers.COMMIT_QUERY),
        "ImageCreate": _Rule(images.create_claims, query=images.CREATE_QUERY),
        "ImageBuild": _Rule(images.build_claims, query=images.BUILD_QUERY),
        "ImagePush": _Rule(images.named_claims, query={"tag"}),
        "ImageTag": _Rule(images.tag_claims, query={"repo", "tag"}),
        "ImageSearch": _Rule(images.search_claims, query=images.SEARCH_QUERY),
        "DistributionInspect": _Rule(images.named_claims),
        "SystemAuth": _Rule(images.auth_claims, images.AUTH_FIELDS),
        "VolumeCreate": _Rule(volumes.create_claims, volumes.CREATE_FIELDS),
        "NetworkCreate": _Rule(_network_create, networking.CREATE_FIELDS),
        "NetworkConnect": _Rule(
            _network_connect, {"Container", *(f"EndpointConfig.{name}" for name in networking.ENDPOINT_FIELDS)}
        ),
        "NetworkDisconnect": _Rule(_network_connect, {"Container"}),
    }
)
