"""The key that vouches for audits: signs the head of a chain, and never one that lies before what it has signed.

Under DATA_ROOT/pki/audit: ``key.pem`` (Ed25519, 0600), ``pub.pem`` (for whoever verifies elsewhere), and
``heads.json``, the highest head signed for each chain.

- A head is remembered on disk before its signature is given away: a signature can never be older than the memory.
- A chain that goes back, or comes with another hash for a line already signed, is refused: it was cut or rewritten.
- The files live as long as the audit does. A new key begins new chains; it cannot vouch for old ones.
"""

import base64
import binascii
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.pki.audit.ed25519 import PrivateKey, is_signed
from tidegate.pki.audit.memory import (
    HEADS_FILE,
    KEY_FILE,
    PUBLIC_KEY_FILE,
    encode_heads,
    encode_private_key,
    encode_public_key,
    key_id,
    private_key,
    public_key,
    read_heads,
    read_key_id,
)
from tidegate.pki.durable_files import PRIVATE_MODE, PUBLIC_MODE, exclusive, make_private_directory, write_durably
from tidegate.spec.audit.chain import Head, checkpoint_message
from tidegate.spec.audit.records import Checkpoint


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AuditSigner:
    """The holder of the key; one process at a time, any thread of it. Every method may raise OSError."""

    def __init__(self, directory: Path, now: Callable[[], datetime] = _utc_now) -> None:
        """In a ``signer_directory``; makes the key if need be. Raises InvalidParameterError for a bad one."""
        self._directory = directory
        self._now = now
        self._changing = threading.Lock()
        make_private_directory(directory)
        with exclusive(directory / ".lock"):
            self._key = _ensure_key(directory)
        self.key_id = read_key_id(directory)
        self._heads = read_heads(directory)

    def sign(self, chain: str, head: Head) -> Checkpoint:
        """Vouch for ``head``. Raises ConflictError if the chain went back, InvalidParameterError if it is foreign."""
        if chain.partition("/")[0] != self.key_id:
            raise InvalidParameterError(f"the audit's key {self.key_id} does not sign the chain {chain}")
        with self._changing:
            self._remember(chain, head)
        signed_at = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        signature = self._key.sign(checkpoint_message(chain, head, signed_at))
        return Checkpoint(head.seq, head.hash, signed_at, self.key_id, base64.b64encode(signature).decode())

    def _remember(self, chain: str, head: Head) -> None:
        known = self._heads.get(chain)
        if known is not None and (head.seq < known.seq or (head.seq == known.seq and head != known)):
            raise ConflictError(
                f"the audit {chain} was at line {known.seq} and now shows line {head.seq}: it was cut or rewritten"
            )
        if head != known:
            self._write({**self._heads, chain: head})

    def _write(self, heads: dict[str, Head]) -> None:
        write_durably(self._directory / HEADS_FILE, encode_heads(heads), PRIVATE_MODE)
        self._heads = heads


class AuditVerifier:
    """The public half. Raises InvalidParameterError when ``pem`` is no Ed25519 key; ``source`` names it."""

    def __init__(self, pem: bytes, source: str) -> None:
        text = pem.decode(errors="replace")
        self._key = public_key(text, source)
        self.key_id = key_id(text, source)

    def is_signed(self, message: bytes, signature: str) -> bool:
        """Whether ``signature`` (base64) is ours over ``message``."""
        try:
            return is_signed(self._key, message, base64.b64decode(signature, validate=True))
        except (binascii.Error, ValueError):
            return False


def load_verifier(directory: Path) -> AuditVerifier:
    """The verifier of a ``signer_directory``. Raises NotFoundError when nothing was ever signed there."""
    path = directory / PUBLIC_KEY_FILE
    try:
        return AuditVerifier(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise NotFoundError(f"no key of an audit at {path}: name it with --key FILE") from error


def _ensure_key(directory: Path) -> PrivateKey:
    path = directory / KEY_FILE
    if not path.exists():
        write_durably(path, encode_private_key(PrivateKey.generate().seed).encode(), PRIVATE_MODE)
    key = PrivateKey(private_key(path.read_text(errors="replace"), str(path)))
    public = encode_public_key(key.public_key()).encode()
    public_path = directory / PUBLIC_KEY_FILE
    if not public_path.exists() or public_path.read_bytes() != public:
        write_durably(public_path, public, PUBLIC_MODE)
    return key
