"""An in-memory StateStore that can fail and remembers the order of its writes."""

from collections.abc import Mapping, Sequence

from tidegate.base.errors import InternalError


class FakeStateStore:
    """``records`` is what would survive a crash, ``durable`` what a loss of power would leave of it.

    ``journal`` is every change, in order.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], bytes] = {}
        self.durable: dict[tuple[str, str], bytes] = {}
        self.journal: list[tuple[str, str, bytes | None]] = []
        self.broken = False

    async def put(self, kind: str, key: str, value: bytes, *, durable: bool = True) -> None:
        await self.apply([(kind, key, value)], durable=durable)

    async def delete(self, kind: str, key: str, *, durable: bool = True) -> None:
        await self.apply([(kind, key, None)], durable=durable)

    async def apply(self, changes: Sequence[tuple[str, str, bytes | None]], *, durable: bool = True) -> None:
        if self.broken:
            raise InternalError("state database: disk I/O error")
        for kind, key, value in changes:
            self.journal.append((kind, key, value))
            if value is None:
                self.records.pop((kind, key), None)
            else:
                self.records[kind, key] = value
        if durable:
            self.durable = dict(self.records)

    async def load(self, kind: str) -> Mapping[str, bytes]:
        return {key: value for (of, key), value in sorted(self.records.items()) if of == kind}
