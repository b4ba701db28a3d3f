"""Who owns an object of the engine behind the gate: asked of that engine, by the label the gate put on it.

- A name is resolved at each request and the request is sent on by the full id: a name that moves to another object
  between the check and the act is of no use.
- Labels of a container cannot change, so that what an id says is remembered; names are never remembered.
- An exec belongs to who owns its container.
"""

from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from tidegate.access.asked import Subject
from tidegate.access.objects.ownership import owner_in
from tidegate.base.errors import InternalError, NotFoundError, UnavailableError
from tidegate.http.client import UnixClient

_ANSWER_BYTES = 16 << 20
_MOST_REMEMBERED = 10_000


class Found(msgspec.Struct, frozen=True):
    """``object_id`` is what the engine never reuses; ``owner`` is "" for an object without the label."""

    object_id: str
    owner: str


class _Lookup(msgspec.Struct, frozen=True):
    """Where the engine shows an object of a kind, and where its id and labels stand in the answer."""

    template: str
    identity: str
    labels: tuple[str, ...]


_LOOKUPS: Mapping[str, _Lookup] = {
    "container": _Lookup("/containers/{}/json", "Id", ("Config", "Labels")),
    "image": _Lookup("/images/{}/json", "Id", ("Config", "Labels")),
    "network": _Lookup("/networks/{}", "Id", ("Labels",)),
    "volume": _Lookup("/volumes/{}", "Name", ("Labels",)),
    "service": _Lookup("/services/{}", "ID", ("Spec", "Labels")),
    "secret": _Lookup("/secrets/{}", "ID", ("Spec", "Labels")),
    "config": _Lookup("/configs/{}", "ID", ("Spec", "Labels")),
}


class Objects:
    """Lookups through ``engine``."""

    def __init__(self, engine: UnixClient) -> None:
        self._engine = engine
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._containers_of_execs: OrderedDict[str, str] = OrderedDict()

    async def find(self, kind: str, name_or_id: str) -> Found:
        """Raises NotFoundError with the engine's words, UnavailableError, InternalError for an answer without sense."""
        if kind == "exec":
            return Found(name_or_id, (await self.find("container", await self._container_of(name_or_id))).owner)
        if kind == "container" and name_or_id in self._owners:
            return Found(name_or_id, self._owners[name_or_id])
        lookup = _LOOKUPS[kind]
        shown = await self._show(lookup.template.format(quote(name_or_id, safe="/:@-._~")))
        found = Found(_text(shown, lookup.identity), owner_in(_labels(shown, lookup.labels)))
        if kind == "container":
            _remember(self._owners, found.object_id, found.owner)
        return found

    async def describe(self, kind: str, name_or_id: str) -> Subject:
        """The object's name and labels, as they are now; an exec's are its container's. Raises as ``find`` does."""
        if kind == "exec":
            container = await self.describe("container", await self._container_of(name_or_id))
            return Subject(name_or_id, container.name, container.labels)
        lookup = _LOOKUPS[kind]
        shown = await self._show(lookup.template.format(quote(name_or_id, safe="/:@-._~")))
        labels = _labels(shown, lookup.labels)
        texts = {str(key): str(value) for key, value in labels.items()} if isinstance(labels, Mapping) else {}
        return Subject(_text(shown, lookup.identity), _text(shown, "Name").removeprefix("/"), texts)

    async def _container_of(self, exec_id: str) -> str:
        known = self._containers_of_execs.get(exec_id)
        if known is None:
            known = _text(await self._show(f"/exec/{quote(exec_id, safe='')}/json"), "ContainerID")
            _remember(self._containers_of_execs, exec_id, known)
        return known

    async def _show(self, target: str) -> Mapping[str, object]:
        async with await self._engine.request("GET", target) as answer:
            content = await answer.read_all(_ANSWER_BYTES)
        try:
            shown = msgspec.json.decode(content, type=dict[str, object])
        except msgspec.MsgspecError as error:
            raise InternalError(f"the engine answered GET {target} with no JSON object") from error
        if answer.status == 404:
            raise NotFoundError(str(shown.get("message", "not found")))
        if answer.status != 200:
            raise UnavailableError(f"GET {target}: {answer.status}: {shown.get('message')}")
        return shown


def _text(shown: Mapping[str, object], key: str) -> str:
    value = shown.get(key)
    if not isinstance(value, str) or not value:
        raise InternalError(f"the engine's answer has no {key}")
    return value


def _labels(shown: Mapping[str, object], path: tuple[str, ...]) -> object:
    inner: object = shown
    for key in path:
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    return inner


def _remember(memory: OrderedDict[str, str], key: str, value: str) -> None:
    memory[key] = value
    if len(memory) > _MOST_REMEMBERED:
        memory.popitem(last=False)
