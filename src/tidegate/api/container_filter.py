"""Which containers a list shows: the filters of GET /containers/json.

Values of one filter are alternatives, filters are demands; of labels every one must be met. ``name`` and ``id`` are
expressions as in Docker; those that could take exponential time, which Go's never do, are refused.

Source: the specification, ContainerList; moby ``daemon/list.go``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from tidegate.api.views.containers import health_status_of, status_of
from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.images.service import ImageService
from tidegate.engine.mounts.points import mount_points
from tidegate.engine.ports import BridgeAttachment
from tidegate.model.container import Container
from tidegate.spec.filters import Filters, labels_match, parse_boolean_filter, parse_filters
from tidegate.spec.stored import stored_request

LIST_FILTERS = frozenset(
    {
        "ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network", "publish",
        "since", "status", "volume",
    }
)  # fmt: skip
STATUSES = frozenset({"created", "dead", "exited", "paused", "removing", "restarting", "running"})
HEALTH_STATUSES = frozenset({"none", "starting", "healthy", "unhealthy"})
_SHOWN_BY_DEFAULT = frozenset({"running", "paused", "restarting"})
_MOST_REPETITIONS = 5
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")


class Surroundings(msgspec.Struct, frozen=True):
    """What filters ask besides the container: others, images, and the id of a network."""

    containers: ContainerService
    images: ImageService
    network_id: Callable[[str], str]


class ContainerFilter:
    """The parsed filters of one request."""

    def __init__(self, text: str, around: Surroundings, parameters: Mapping[str, str] | None = None) -> None:
        """``parameters`` are filters that API 1.24 and docker-py send beside the others: ``before`` and ``since``.

        Raises InvalidParameterError naming filter and value, NotFoundError for ``before`` and ``since``.
        """
        filters = dict(parse_filters(text, LIST_FILTERS))
        for name, value in (parameters or {}).items():
            filters[name] = (*filters.get(name, ()), *([value] if value else []))
        self._filters = {name: values for name, values in filters.items() if values}
        self._around = around
        _check_words(filters, "status", STATUSES)
        _check_words(filters, "health", HEALTH_STATUSES)
        self._names = [expression("name", value) for value in filters.get("name", ())]
        self._ids = [expression("id", value) for value in filters.get("id", ())]
        self._exposed, self._published = (_ports(filters, name) for name in ("expose", "publish"))
        self._tasks_only = parse_boolean_filter(filters, "is-task", False)
        born = {name: [self._created(value) for value in filters.get(name, ())] for name in ("before", "since")}
        self._before_ns, self._since_ns = min(born["before"], default=1 << 63), max(born["since"], default=-1)
        self._ancestors = [self._images(value) for value in filters.get("ancestor", ())]

    @property
    def is_empty(self) -> bool:
        """Whether it shows all."""
        return not self._filters

    @property
    def wants_all(self) -> bool:
        """Whether it speaks of containers that do not run, too."""
        return "status" in self._filters or "exited" in self._filters

    def shows(self, container: Container, *, everything: bool) -> bool:
        """``everything``: also those that do not run."""
        if not everything and status_of(container.state) not in _SHOWN_BY_DEFAULT:
            return False
        return self.is_empty or (
            not self._tasks_only  # there are no tasks
            and self._since_ns < container.created_at_ns < self._before_ns
            and self._fits_identity(container)
            and self._fits_state(container)
            and self._fits_surroundings(container)
        )

    def _fits_identity(self, container: Container) -> bool:
        names = (container.name, f"/{container.name}")
        return (
            (not self._names or any(each.search(name) for each in self._names for name in names))
            and (not self._ids or any(each.search(container.id) for each in self._ids))
            and labels_match(self._filters.get("label", ()), container.labels)
            and (not self._ancestors or any(descends(container) for descends in self._ancestors))
        )

    def _fits_state(self, container: Container) -> bool:
        status, filters = status_of(container.state), self._filters
        code = str(container.state.exit_code) if status == "exited" else None
        return (
            ("status" not in filters or status in filters["status"])
            and ("health" not in filters or health_status_of(container.state) in filters["health"])
            and ("exited" not in filters or code in filters["exited"])
        )

    def _fits_surroundings(self, container: Container) -> bool:
        filters, attachment = self._filters, self._around.containers.attachment(container.id)
        networks, volumes = filters.get("network", ()), set(filters.get("volume", ()))
        ports = (not self._exposed and not self._published) or bool(
            self._exposed & exposed_ports(container) or self._published & published_ports(attachment)
        )
        return (
            ports
            and (not networks or any(self._is_on(container, network) for network in networks))
            and (not volumes or not volumes.isdisjoint(mounted(container)))
        )

    def _is_on(self, container: Container, network: str) -> bool:
        own = container.settings.network
        return network == own or (bool(network) and self._around.network_id(own).startswith(network))

    def _created(self, name_or_id: str) -> int:
        return self._around.containers.resolve(name_or_id).created_at_ns

    def _images(self, ancestor: str) -> Callable[[Container], bool]:
        """Whether a container is of the image, or of one with further layers on top of it."""
        try:
            image = self._around.images.resolve(ancestor)
        except (NotFoundError, InvalidParameterError):
            return lambda container: container.image == ancestor
        chain = image.chain_ids
        return lambda container: container.image_id == image.image_id or (
            len(container.settings.chain_ids) > len(chain) > 0 and container.settings.chain_ids[: len(chain)] == chain
        )


def exposed_ports(container: Container) -> set[tuple[int, str]]:
    """Those of the image, the client and what is published."""
    found = {(port.container_port, port.protocol) for port in container.settings.ports}
    for text in stored_request(container.document).exposed_ports:
        number, _, protocol = text.partition("/")
        if number.isdecimal():
            found.add((int(number), protocol or "tcp"))
    return found


def published_ports(attachment: BridgeAttachment | None) -> set[tuple[int, str]]:
    """Ports of the host that lead to a running container."""
    return {(port.host_port, port.protocol) for port in attachment.ports} if attachment else set()


def mounted(container: Container) -> set[str]:
    """Names of volumes, paths of the host, and where they are in the container."""
    return {text for point in mount_points(container) for text in (point.source, point.container_path) if text}


def _check_words(filters: Filters, name: str, known: frozenset[str]) -> None:
    for value in filters.get(name, ()):
        if value not in known:
            raise InvalidParameterError(f"invalid filter '{name}={value}'")


@lru_cache(maxsize=128)
def expression(name: str, text: str) -> "re.Pattern[str]":
    """What a filter is matched by. Raises InvalidParameterError for one that could take exponential time."""
    repetitions = len(re.findall(r"(?<!\\)[*+{]", text))
    if re.search(r"\)[*+?{]", text) or repetitions > _MOST_REPETITIONS:
        raise InvalidParameterError(
            f"invalid filter '{name}={text}': repeat no group, and nothing more than five times"
        )
    try:
        return re.compile(text, re.ASCII)
    except re.error as error:
        raise InvalidParameterError(f"invalid filter '{name}={text}': {error}") from error


def _ports(filters: Mapping[str, Sequence[str]], name: str) -> set[tuple[int, str]]:
    """``80``, ``80/udp``, ``8000-8080/tcp``."""
    found: set[tuple[int, str]] = set()
    for text in filters.get(name, ()):
        parts = _PORTS.fullmatch(text)
        first, last = (int(parts[1]), int(parts[2] or parts[1])) if parts else (1, 0)
        if parts is None or not first <= last < 65536:
            raise InvalidParameterError(f"invalid filter '{name}={text}': a port is PORT[-PORT][/tcp|udp|sctp]")
        found |= {(port, parts[3] or "tcp") for port in range(first, last + 1)}
    return found
