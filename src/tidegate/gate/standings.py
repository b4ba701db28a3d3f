"""What the OCSP responder says of the clients whose certificates are of another CA, as far as this worker has asked.

- A certificate is asked about before its first request is decided, and again before what was said runs out, for as
  long as it is in use: a revocation then cuts what is open, as one of our own does.
- Fail closed: what is not known to be good is refused.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tidegate.base.errors import TidegateError
from tidegate.pki.registrar_messages import CertificateStatus

LOOK_S = 5.0
_AHEAD_S = 15.0
_AGAIN_S = 5.0
_IDLE_S = 600.0
_MOST_REMEMBERED = 4096
_ADMITTED = frozenset({"good", "unchecked"})

Ask = Callable[[str], Awaitable[CertificateStatus]]
"""``check_ocsp`` of the registrar: takes PEM, raises TidegateError."""


@dataclass(slots=True)
class _Standing:
    """``refusal`` is "" for a good one."""

    refusal: str
    until_s: float
    used_s: float


class Standings:
    """By certificate, in DER."""

    def __init__(self, ask: Ask, clock_s: Callable[[], float] = time.time) -> None:
        self._ask = ask
        self._clock_s = clock_s
        self._known: dict[bytes, _Standing] = {}

    def refusal(self, certificate: bytes) -> str:
        """Why it is not admitted now, as the end of a sentence; "" when it is. Asks nobody."""
        standing = self._known.get(certificate)
        now_s = self._clock_s()
        if standing is None or standing.until_s <= now_s:
            return "could not be checked: its CA's OCSP responder was not asked in time"
        standing.used_s = now_s
        return standing.refusal

    async def learn(self, certificate: bytes) -> None:
        """Ask, unless it is known. Never raises: not to know is a refusal."""
        standing = self._known.get(certificate)
        if standing is None or standing.until_s <= self._clock_s():
            await self._learn(certificate)

    async def keep(self, changed: Callable[[], object]) -> None:
        """Ask again ahead of time about those in use, and tell when one was refused; for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look(changed)

    async def look(self, changed: Callable[[], object]) -> None:
        """One round of ``keep``."""
        now_s = self._clock_s()
        self._known = {der: each for der, each in self._known.items() if each.used_s + _IDLE_S > now_s}
        due = [der for der, each in self._known.items() if each.until_s - _AHEAD_S <= now_s]
        await asyncio.gather(*(self._learn(der) for der in due))
        if any(self.refusal(der) for der in due):
            changed()

    async def _learn(self, certificate: bytes) -> None:
        before = self._known.get(certificate)
        now_s = self._clock_s()
        try:
            status = await self._ask(ssl.DER_cert_to_PEM_cert(certificate))
        except TidegateError as error:
            if before is not None and before.until_s > now_s:
                return  # it still stands; there will be another look before that ends
            refusal, until_s = f"could not be checked: {error.message}", now_s + _AGAIN_S
        else:
            refusal = "" if status.status in _ADMITTED else f"is {status.status} to its CA's OCSP responder"
            until_s = status.until_s
        if certificate not in self._known and len(self._known) >= _MOST_REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[certificate] = _Standing(refusal, until_s, before.used_s if before else now_s)
