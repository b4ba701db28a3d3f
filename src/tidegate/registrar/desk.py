"""What gate workers may ask for, and who does it.

The keys of the PKI are worked with by a process of their own, the audit's by a thread: each by one at a time.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tidegate.base.errors import ForbiddenError, NotSupportedError, TidegateError
from tidegate.pki.audit.memory import PUBLIC_KEY_FILE, signer_directory
from tidegate.pki.audit.signer import AuditSigner
from tidegate.pki.registrar_messages import CheckOCSP, Enrol, Renew, Reply, Retire, SignCheckpoint, Signed
from tidegate.registrar.key_process import Keys
from tidegate.registrar.key_work import Grantable
from tidegate.registrar.ocsp_checks import OCSPChecks
from tidegate.registrar.service import Desk
from tidegate.spec.audit.chain import Head

T = TypeVar("T")
DECOY_WRITER = "decoy"
_UPKEEP_S = 1800.0  # certificates for machines may live for hours; one look costs some milliseconds
_LOOKS_A_DAY = round(86400 / _UPKEEP_S)
_log = logging.getLogger("tidegate.registrar")


def ensure_audit_key(data_root: Path) -> None:
    """Make the key of the audit if there is none. Raises InvalidParameterError for a bad one, OSError."""
    directory = signer_directory(data_root)
    if not (directory / PUBLIC_KEY_FILE).exists():
        AuditSigner(directory)


class RegistrarDesk:
    """The keys of ``data_root`` at work; ``refresh`` publishes what was changed."""

    def __init__(
        self, data_root: Path, keys: Keys, refresh: Callable[[], Awaitable[None]], ocsp: OCSPChecks | None = None
    ) -> None:
        self._audit = signer_directory(data_root)
        self._keys = keys
        self._refresh = refresh
        self._ocsp = ocsp
        self._thread = ThreadPoolExecutor(1, "registrar-desk")
        self._signer: AuditSigner | None = None

    def calls(self) -> Desk:
        """By the type of request."""
        return {
            Enrol: self.grant,
            Renew: self.grant,
            Retire: self.grant,
            SignCheckpoint: self.sign_checkpoint,
            CheckOCSP: self.check_ocsp,
        }

    async def grant(self, request: Grantable) -> Reply:
        """Raises as the methods of ``pki.enrolment.Enrolment``."""
        granted = await self._keys.grant(request)
        await self._refresh()
        return granted

    async def check_ocsp(self, request: CheckOCSP) -> Reply:
        """Raises as ``OCSPChecks.check``; NotSupportedError where no responder is configured."""
        if self._ocsp is None:
            raise NotSupportedError("no OCSP responder is configured")
        return await self._ocsp.check(request)

    async def keep_up(self, server: Path | None) -> None:
        """Renew what is due and, once a day, warn of what ends; for ever. ``server`` is what the gate shows."""
        for look in itertools.count():
            try:
                for warning in await self._keys.keep_up(server):
                    if look % _LOOKS_A_DAY == 0:
                        _log.warning("%s", warning)
            except (TidegateError, OSError) as error:
                _log.error("the certificates could not be kept up: %s", error)
            await asyncio.sleep(_UPKEEP_S)

    async def sign_checkpoint(self, request: SignCheckpoint) -> Reply:
        """Raises ConflictError for a chain that went back, InvalidParameterError for a foreign one."""

        def sign() -> Signed:
            checkpoint = self._audit_signer().sign(request.chain, Head(request.seq, request.hash))
            return Signed(checkpoint)

        return await self._in_thread(sign)

    def calls_of_decoy(self) -> Desk:
        """All that a process may ask for which strangers speak to."""
        return {SignCheckpoint: self.sign_decoy_checkpoint}

    async def sign_decoy_checkpoint(self, request: SignCheckpoint) -> Reply:
        """Raises ForbiddenError for a chain that is not the decoy's, and as ``sign_checkpoint``."""
        if request.chain.partition("/")[2].partition("@")[0] != DECOY_WRITER:
            raise ForbiddenError(f"the decoy has no say in the chain {request.chain}")
        return await self.sign_checkpoint(request)

    async def close(self) -> None:
        if self._ocsp is not None:
            self._ocsp.close()
        self._thread.shutdown(wait=True, cancel_futures=True)
        await self._keys.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _audit_signer(self) -> AuditSigner:
        if self._signer is None:
            self._signer = AuditSigner(self._audit)
        return self._signer
