"""Events of containers, and those of the network and the volumes that a run of one uses.

- ``connect`` and ``mount`` are told once for each run, before ``start``; ``disconnect`` and ``unmount`` once after it,
  before ``die``, however often its release is tried;
- runs that an earlier engine began are told of by ``adopt``: their end is told too.

Attributes: moby ``daemon/events.go``, ``container_operations.go``, ``volumes_unix.go``.
"""

from collections.abc import Callable, Mapping

from tidegate.engine.events import EventBus
from tidegate.engine.mounts.points import mount_points
from tidegate.model.container import JOINS, Container

_DRIVERS = {"host": "host", "none": "null"}


class ContainerEvents:
    """``network_id`` answers the id of a network by its name; "" where it is not known."""

    def __init__(self, bus: EventBus, network_id: Callable[[str], str] = lambda _name: "") -> None:
        self._bus = bus
        self._network_id = network_id
        self._running: set[str] = set()

    def tell(self, container: Container, action: str, attributes: Mapping[str, str]) -> None:
        """An event of the container itself, with its labels, image and name."""
        own = {**container.labels, "image": container.image, "name": container.name}
        self._bus.publish("container", action, container.id, {**own, **attributes})

    def begin_run(self, container: Container) -> None:
        """Its network is joined and its volumes are about to be mounted."""
        self._running.add(container.id)
        self._tell_network(container, "connect")
        for point in mount_points(container):
            if point.kind == "volume":
                mounted = {
                    "driver": "local",
                    "container": container.id,
                    "destination": point.container_path,
                    "read/write": str(not point.read_only).lower(),
                    "propagation": point.propagation,
                }
                self._bus.publish("volume", "mount", point.source, mounted)

    def adopt(self, container_id: str) -> None:
        """A run that an earlier engine began goes on."""
        self._running.add(container_id)

    def end_run(self, container: Container) -> None:
        """Network and volumes are given back; nothing is told of a run that never began."""
        if container.id not in self._running:
            return
        self._running.discard(container.id)
        self._tell_network(container, "disconnect")
        for use in container.settings.volumes:
            self._bus.publish("volume", "unmount", use.name, {"driver": "local", "container": container.id})

    def _tell_network(self, container: Container, action: str) -> None:
        name = container.settings.network
        if name.startswith(JOINS):
            return
        attributes = {"container": container.id, "name": name, "type": _DRIVERS.get(name, "bridge")}
        self._bus.publish("network", action, self._network_id(name), attributes)
