"""An in-memory BridgeNetwork that hands out addresses and refuses taken ports."""

from collections.abc import Sequence

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.ports import BridgeAttachment, PortPublication


class FakeBridgeNetwork:
    """``attached`` and ``isolated`` are what exists."""

    def __init__(self) -> None:
        self.attached: dict[str, BridgeAttachment] = {}
        self.isolated: set[str] = set()
        self.open_handles: set[str] = set()
        self.adopted: list[BridgeAttachment] | None = None

    async def ensure(self) -> None:
        return None

    async def connect(
        self, container_id: str, ports: Sequence[PortPublication], mac_address: str | None
    ) -> BridgeAttachment:
        taken = {(q.protocol, q.host_port) for other in self.attached.values() for q in other.ports}
        for port in ports:
            if (port.protocol, port.host_port) in taken:
                raise InvalidParameterError(f"Bind for 0.0.0.0:{port.host_port} failed: port is already allocated")
        address = f"172.17.0.{len(self.attached) + 2}"
        mac = mac_address or "02:42:ac:11:00:02"
        self.attached[container_id] = BridgeAttachment(container_id, address, 16, "172.17.0.1", mac, tuple(ports))
        self.open_handles.add(container_id)
        return self.attached[container_id]

    async def isolate(self, container_id: str) -> None:
        self.isolated.add(container_id)
        self.open_handles.add(container_id)

    def netns_path(self, container_id: str) -> str:
        return f"/netns/{container_id}"

    def close_netns(self, container_id: str) -> None:
        self.open_handles.discard(container_id)

    async def disconnect(self, container_id: str) -> None:
        self.attached.pop(container_id, None)
        self.isolated.discard(container_id)
        self.open_handles.discard(container_id)

    async def adopt(self, attachments: Sequence[BridgeAttachment]) -> None:
        self.adopted = list(attachments)
        self.attached = {each.container_id: each for each in attachments}
