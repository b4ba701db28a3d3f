"""From a reading to a permit: what is sent on when the policy, the owners of the objects and the quota allow it.

The pure decision is ``access.decision``; here the engine is asked what the decision cannot know. An object of somebody
else is answered as one that does not exist.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import cast

import msgspec
from msgspec.structs import replace

from tidegate.access.asked import Usage
from tidegate.access.decision import allowed_registries, decide
from tidegate.access.objects.ownership import (
    OWNER_LABEL,
    administrators,
    own_filters,
    owner_in,
    sign_document,
    sign_query,
    takes_own_filters,
)
from tidegate.access.objects.pinning import NO_PINS, Pins, pin_document, pin_query
from tidegate.access.policy import Policy
from tidegate.access.reach import path_kind
from tidegate.access.verdict import ObjectKind, ObjectReference, Signing, Verdict
from tidegate.base.errors import InternalError, NotFoundError
from tidegate.gate.behind.objects import Objects
from tidegate.gate.behind.usage import QuotaLocks, usage_of
from tidegate.gate.live import Identity
from tidegate.gate.reading import Reading
from tidegate.http.client import UnixClient
from tidegate.spec.credentials import NO_CREDENTIALS, Credentials
from tidegate.spec.documents import Document, Tree
from tidegate.spec.queries import Query

_NO_SUCH: Mapping[ObjectKind, str] = {
    ObjectKind.CONTAINER: "No such container: {}",
    ObjectKind.EXEC: "No such exec instance: {}",
    ObjectKind.IMAGE: "No such image: {}",
    ObjectKind.VOLUME: "get {}: no such volume",
    ObjectKind.NETWORK: "network {} not found",
}
_ANSWER_BYTES = 1 << 20
_BY_ID = frozenset({ObjectKind.CONTAINER, ObjectKind.NETWORK})
"""Kinds whose id may stand where the name stood; an image's does not say which tag was meant."""


class Permit(msgspec.Struct, frozen=True):
    """The verdict, and the request as it is sent on.

    ``missing`` is the 404 of an object that is not the client's. ``volumes`` do not exist yet, and would be made by the
    engine without a label: they are made, labelled, before the request is sent on. ``pins`` are the ids of what was
    looked up; ``credentials`` are of registries that the client may use.
    """

    verdict: Verdict
    parameters: Mapping[str, str]
    query: Query
    document: Document
    missing: str = ""
    volumes: tuple[str, ...] = ()
    pins: Pins = NO_PINS
    credentials: Credentials = NO_CREDENTIALS

    @property
    def allowed(self) -> bool:
        return self.verdict.allowed and not self.missing


class Permits:
    """Asks ``engine`` for owners and usage."""

    def __init__(self, engine: UnixClient, locks: QuotaLocks) -> None:
        self._engine = engine
        self._objects = Objects(engine)
        self._locks = locks

    async def with_subject(self, policy: Policy, role: str, reading: Reading) -> Reading:
        """The reading with what rules may ask of the object in its path; an object that is not there has no name."""
        kind = policy.subject_kind(role, reading.operation_id)
        if kind is None:
            return reading
        try:
            subject = await self._objects.describe(kind, reading.asked.object_id)
        except NotFoundError:
            return reading
        return replace(reading, asked=replace(reading.asked, subject=subject))

    async def permit(self, policy: Policy, identity: Identity, reading: Reading, stack: AsyncExitStack) -> Permit:
        """``stack`` keeps a quota's lock until the request has been carried out.

        Raises UnavailableError or InternalError when the engine cannot say what must be known.
        """
        usage = Usage()
        if policy.needs_usage(identity.role, reading.operation_id):
            await stack.enter_async_context(self._locks.hold(identity.owner))
            usage = await usage_of(self._engine, identity.owner, await self._full_id(reading))
        verdict = decide(policy, identity.principal, identity.role, reading.asked, usage)
        permit = Permit(verdict, reading.found.parameters, reading.query, reading.document, pins=_subject_pin(reading))
        if not verdict.allowed:
            return permit
        for reference in verdict.must_own:
            permit = await self._check_owner(permit, identity, reference)
            if permit.missing:
                return permit
        permit = replace(permit, credentials=_credentials(policy, identity, reading))
        return _signed(_pinned(permit, reading), reading.operation_id, identity.owner)

    async def make_volumes(self, permit: Permit, owner: str) -> None:
        """Raises UnavailableError, InternalError with the engine's words when it refuses.

        A volume that somebody else has made meanwhile is answered as it is, and raises NotFoundError.
        """
        for name in permit.volumes:
            body = msgspec.json.encode({"Name": name, "Labels": {OWNER_LABEL: owner}})
            headers = (("content-type", "application/json"),)
            async with await self._engine.request("POST", "/volumes/create", headers, body) as answer:
                content = await answer.read_all(_ANSWER_BYTES)
            if answer.status >= 400:
                raise InternalError(f"the volume {name} could not be made: {content.decode('utf-8', 'replace')}")
            if owner_in(_labels(content)) != owner:
                raise NotFoundError(_NO_SUCH[ObjectKind.VOLUME].format(name))

    async def _full_id(self, reading: Reading) -> str:
        """The id of the container that an update changes; "" for a create."""
        if not reading.asked.object_id:
            return ""
        return (await self._objects.find(ObjectKind.CONTAINER, reading.asked.object_id)).object_id

    async def _check_owner(self, permit: Permit, identity: Identity, reference: ObjectReference) -> Permit:
        try:
            found = await self._objects.find(reference.kind, reference.name_or_id)
        except NotFoundError as error:
            if not reference.may_be_absent:
                return replace(permit, missing=error.message)
            return replace(permit, volumes=(*permit.volumes, reference.name_or_id)) if reference.make_first else permit
        if not identity.owner or found.owner != identity.owner:
            return replace(permit, missing=_NO_SUCH[reference.kind].format(reference.name_or_id))
        return replace(permit, pins=permit.pins.with_id(reference.kind, reference.name_or_id, found.object_id))


def _credentials(policy: Policy, identity: Identity, reading: Reading) -> Credentials:
    credentials = reading.credentials
    if not credentials.header:
        return credentials
    hosts = allowed_registries(policy, identity.principal, identity.role, reading.asked, credentials.hosts)
    return credentials.keeping(hosts)


def _labels(content: bytes) -> object:
    try:
        return msgspec.json.decode(content, type=dict[str, object]).get("Labels")
    except msgspec.MsgspecError as error:
        raise InternalError("the engine's answer about a volume is not JSON") from error


def _subject_pin(reading: Reading) -> Pins:
    asked, kind = reading.asked, path_kind(reading.operation_id)
    if asked.subject is None or kind is None:
        return NO_PINS
    return NO_PINS.with_id(kind, asked.object_id, asked.subject.object_id)


def _pinned(permit: Permit, reading: Reading) -> Permit:
    """With ids in place of the names that were looked up, in the path, the query and the document."""
    if not permit.pins:
        return permit
    operation_id, query, document = reading.operation_id, permit.query, permit.document
    kind = path_kind(operation_id)
    found = permit.pins.ids.get((kind, reading.asked.object_id)) if kind in _BY_ID else None
    parameters = dict.fromkeys(permit.parameters, found) if found else permit.parameters
    for name, value in pin_query(operation_id, query.tree, permit.pins).items():
        if value != query.tree.get(name):
            query = query.with_values(name, [str(value)], cast(Tree, value))
    if isinstance(document.tree, dict):
        tree = pin_document(operation_id, document.tree, permit.pins)
        document = replace(document, tree=cast(Tree, tree))
    return replace(permit, parameters=parameters, query=query, document=document)


def _signed(permit: Permit, operation_id: str, owner: str) -> Permit:
    """With the owner's label on what is created, and lists narrowed to what has it."""
    query, document = permit.query, permit.document
    if permit.verdict.own_only and takes_own_filters(operation_id):
        query = query.with_filters(own_filters(query.filters, owner))
    if permit.verdict.sign is Signing.CONTAINER:
        owner = administrators(owner)
    if permit.verdict.sign is not Signing.NOTHING:
        query = _signed_query(query, owner)
        if isinstance(document.tree, dict):
            volumes = permit.verdict.sign is Signing.ALL
            tree = sign_document(operation_id, document.tree, owner, volumes=volumes)
            document = replace(document, tree=cast(Tree, tree))
    return replace(permit, query=query, document=document)


def _signed_query(query: Query, owner: str) -> Query:
    labels = sign_query(query.operation_id, query.tree, owner).get("labels")
    if not isinstance(labels, dict):
        return query
    return query.with_values("labels", [msgspec.json.encode(labels).decode()], labels)
