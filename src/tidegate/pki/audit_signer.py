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

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.pki.audit_memory import (
    HEADS_FILE,
    KEY_FILE,
    PUBLIC_KEY_FILE,
    encode_heads,
    key_id,
    read_heads,
    read_key_id,
)
from tidegate.pki.durable_files import PRIVATE_MODE, PUBLIC_MODE, exclusive, make_private_directory, write_durably
from tidegate.spec.audit_chain import Head, checkpoint_message
from tidegate.spec.audit_records import Checkpoint


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
        try:
            key = serialization.load_pem_public_key(pem)
        except ValueError as error:
            raise InvalidParameterError(f"{source} is no public key: {error}") from error
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise InvalidParameterError(f"{source} is no Ed25519 key")
        self._key = key
        self.key_id = key_id(pem.decode(), source)

    def is_signed(self, message: bytes, signature: str) -> bool:
        """Whether ``signature`` (base64) is ours over ``message``."""
        try:
            self._key.verify(base64.b64decode(signature, validate=True), message)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def load_verifier(directory: Path) -> AuditVerifier:
    """The verifier of a ``signer_directory``. Raises NotFoundError when nothing was ever signed there."""
    path = directory / PUBLIC_KEY_FILE
    try:
        return AuditVerifier(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise NotFoundError(f"no key of an audit at {path}: name it with --key FILE") from error


def _ensure_key(directory: Path) -> ed25519.Ed25519PrivateKey:
    path = directory / KEY_FILE
    if not path.exists():
        made = ed25519.Ed25519PrivateKey.generate()
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_durably(path, pem, PRIVATE_MODE)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise InvalidParameterError(f"{path} is no private key: {error}") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise InvalidParameterError(f"{path} is no Ed25519 key")
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public_path = directory / PUBLIC_KEY_FILE
    if not public_path.exists() or public_path.read_bytes() != public:
        write_durably(public_path, public, PUBLIC_MODE)
    return key
