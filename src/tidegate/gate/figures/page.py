"""What Prometheus gets: the gate's figures, when which certificate ends, and the engine's own page behind it.

The first worker serves it, on an address that is nobody's door: there is one page, to be read. Of certificates
everything is in the snapshot that workers decide on.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from tidegate.base.errors import TidegateError
from tidegate.base.exposition import CONTENT_TYPE, Family, Sample, gauge, render
from tidegate.gate.figures.board import Board
from tidegate.gate.figures.tally import Tally, tally_families
from tidegate.http.client import UnixClient
from tidegate.http.limits import Limits
from tidegate.http.messages import Request, Response, split_target
from tidegate.pki.der import certificate_facts, split_pem
from tidegate.pki.snapshot import Snapshot

PAGE = "/metrics"
LIMITS = Limits(connections=32, body_bytes=0)
_SHOW_EVERY_S = 1.0
_PAGE_BYTES = 64 * 1024 * 1024
_ENGINE_TIMEOUT_S = 5.0


class FiguresPage:
    """``snapshot`` is the newest; ``engine`` answers with a page of its own, and None is somebody else's engine."""

    def __init__(
        self, tallies: Callable[[], Sequence[Tally]], snapshot: Callable[[], Snapshot], engine: UnixClient | None
    ) -> None:
        self._tallies = tallies
        self._snapshot = snapshot
        self._engine = engine

    async def handle(self, request: Request) -> Response:
        """GET /metrics."""
        if split_target(request.target)[0] != PAGE or request.method not in ("GET", "HEAD"):
            return Response(404, [("Content-Type", "text/plain")], b"there is only /metrics here\n")
        families = [*tally_families(self._tallies()), *certificate_families(self._snapshot())]
        page, is_there = await self._engines_page()
        if self._engine is not None:
            families.append(gauge("tidegate_engine_up", "Whether the engine answered.", int(is_there)))
        return Response(200, [("Content-Type", CONTENT_TYPE)], render(families) + page)

    async def _engines_page(self) -> tuple[bytes, bool]:
        if self._engine is None:
            return b"", False
        try:
            async with asyncio.timeout(_ENGINE_TIMEOUT_S), await self._engine.request("GET", PAGE) as answer:
                return await answer.read_all(_PAGE_BYTES), answer.status == 200
        except (TidegateError, TimeoutError):
            return b"", False  # the gauge tells


def certificate_families(snapshot: Snapshot) -> Iterable[Family]:
    """When certificates end: of every CA that is trusted, of the server, of each client that is not revoked."""
    name, text = "tidegate_certificate_expiry_timestamp_seconds", "When a certificate ends."
    samples = []
    if snapshot.ca_pem:
        facts = [certificate_facts(der) for der in split_pem(snapshot.ca_pem, "the CAs")]
        samples += [Sample({"kind": "ca", "name": "", "serial": each.serial}, each.not_after_s) for each in facts]
    if snapshot.not_after_s:
        samples.append(Sample({"kind": "server", "name": "", "serial": ""}, snapshot.not_after_s))
    samples += [
        Sample({"kind": "client", "name": record.name, "serial": serial}, record.not_after_s)
        for serial, record in sorted(snapshot.clients.items())
        if record.revoked_at_s is None
    ]
    yield Family(name, "gauge", text, samples)


async def keep_shown(board: Board, number: int, tally: Callable[[], Tally]) -> None:
    """Show the worker's tally every second, for ever."""
    while True:
        board.show(number, tally())
        await asyncio.sleep(_SHOW_EVERY_S)


def tallies_of(board: Board, number: int, tally: Callable[[], Tally]) -> Callable[[], Sequence[Tally]]:
    """What the worker ``number`` reads: its own as it is now, the others' as they were shown."""

    def gather(own: int) -> Sequence[Tally]:
        known = list(board.read())
        known[own] = tally()
        return known

    return partial(gather, number - 1)
