"""The three predefined networks, ``bridge``, ``host`` and ``none``, and who is on them. Own networks are not built yet.

A network's id is chosen once and stored; an endpoint's id follows from the network and the container.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tidegate.base.errors import ForbiddenError, InvalidParameterError, NotFoundError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.ports import BridgeAttachment, Clock, StateStore
from tidegate.model.container import JOINS, Container
from tidegate.model.phases import ALIVE, Phase

NETWORK = "network"
_DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}


class Network(msgspec.Struct, frozen=True):
    """What is stored of a network."""

    id: str
    name: str
    driver: str
    created_at_ns: int


class BridgeFacts(msgspec.Struct, frozen=True):
    """The default bridge as it is: ``subnet`` in CIDR notation, ``options`` by Docker's names."""

    subnet: str
    gateway: str
    options: Mapping[str, str] = msgspec.field(default_factory=dict)


class PredefinedNetworks:
    """``load`` comes first, once."""

    def __init__(
        self, state: StateStore, clock: Clock, containers: ContainerService, bridge: Callable[[], BridgeFacts]
    ) -> None:
        self._state, self._clock, self._containers = state, clock, containers
        self.bridge = bridge
        self._networks: dict[str, Network] = {}

    async def load(self) -> None:
        """Read the records at boot, and make those that are missing. Raises InternalError."""
        for raw in (await self._state.load(NETWORK)).values():
            network = msgspec.json.decode(raw, type=Network)
            self._networks[network.name] = network
        for name, driver in _DRIVERS.items():
            if name not in self._networks:
                network = Network(secrets.token_hex(32), name, driver, self._clock())
                await self._state.put(NETWORK, network.id, msgspec.json.encode(network))
                self._networks[name] = network

    def list(self) -> Sequence[Network]:
        """Every network, by name."""
        return [self._networks[name] for name in sorted(self._networks)]

    def id_of(self, name: str) -> str:
        """The id of the network a container is on; "" for another container's."""
        return "" if name.startswith(JOINS) else self._networks[name].id

    def resolve(self, name_or_id: str) -> Network:
        """By id, then name, then a unique prefix of an id. Raises NotFoundError, InvalidParameterError."""
        everything = self.list()
        exact = [each for each in everything if name_or_id in (each.id, each.name)]
        found = exact or [each for each in everything if name_or_id and each.id.startswith(name_or_id)]
        if not found:
            raise NotFoundError(f"network {name_or_id} not found")
        if len(found) > 1:
            raise InvalidParameterError(f"network {name_or_id} is ambiguous ({len(found)} matches found based on ID)")
        return found[0]

    def remove(self, name_or_id: str) -> None:
        """Raises NotFoundError, and ForbiddenError for what there is: predefined networks stay."""
        raise ForbiddenError(f"{self.resolve(name_or_id).name} is a pre-defined network and cannot be removed")

    def members(self, network: Network) -> Sequence[tuple[Container, BridgeAttachment | None]]:
        """The running containers on the network; only those on the bridge have an attachment."""
        return [
            (container, self._containers.attachment(container.id))
            for container in self._containers.list()
            if container.settings.network == network.name and container.state.phase in ALIVE - {Phase.STARTING}
        ]


def endpoint_id(network_id: str, container_id: str) -> str:
    """64 hexadecimal digits, the same for as long as both exist."""
    return hashlib.sha256(f"{network_id} {container_id}".encode()).hexdigest()
