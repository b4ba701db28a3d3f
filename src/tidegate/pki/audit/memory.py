"""What the signer of audits has signed, and by which key: read without the library for keys, which is heavy.

Files under DATA_ROOT/pki/audit (a directory of their own: the registrar follows changes of the one above, and these
change all the time); ``audit_signer`` writes them.
"""

import base64
import binascii
import hashlib
import re
from pathlib import Path

import msgspec

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.pki.audit.ed25519 import KEY_BYTES, PRIVATE_PREFIX, PUBLIC_PREFIX
from tidegate.spec.audit.chain import Head

KEY_FILE = "key.pem"
PUBLIC_KEY_FILE = "pub.pem"
HEADS_FILE = "heads.json"
DROPPED_FILE = "dropped.json"


class _Heads(msgspec.Struct, frozen=True):
    """The content of HEADS_FILE: chain -> (seq, hash)."""

    heads: dict[str, tuple[int, str]]


def signer_directory(data_root: Path) -> Path:
    """Where the functions here, and the signer, have their files."""
    return data_root / "pki" / "audit"


def decode_heads(content: bytes, source: str) -> dict[str, Head]:
    """Raises InvalidParameterError: to forget what was signed would permit going back."""
    try:
        found = msgspec.json.decode(content, type=_Heads)
    except msgspec.DecodeError as error:
        raise InvalidParameterError(f"{source} is damaged: {error}; restore it, or begin a new audit key") from error
    return {chain: Head(*head) for chain, head in found.heads.items()}


def encode_heads(heads: dict[str, Head]) -> bytes:
    return msgspec.json.encode(_Heads({chain: (head.seq, head.hash) for chain, head in heads.items()})) + b"\n"


def read_heads(directory: Path) -> dict[str, Head]:
    """The highest head signed for each chain; empty before the first. Raises InvalidParameterError, OSError."""
    return _read(directory / HEADS_FILE)


def read_dropped(directory: Path) -> dict[str, Head]:
    """The last line of each chain that was taken away on purpose. Raises as ``read_heads``."""
    return _read(directory / DROPPED_FILE)


def _read(path: Path) -> dict[str, Head]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    return decode_heads(content, str(path))


def read_key_id(directory: Path) -> str:
    """The id of this PKI's key. Raises NotFoundError for none, InvalidParameterError for one of another kind."""
    path = directory / PUBLIC_KEY_FILE
    try:
        return key_id(path.read_text(), str(path))
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no audit key at {path}: it is made when the gate first starts") from error


def key_id(pem: str, source: str) -> str:
    """Sixteen digits of the key's SHA-256, the first part of its chains' names. Raises InvalidParameterError."""
    return hashlib.sha256(public_key(pem, source)).hexdigest()[:16]


def public_key(pem: str, source: str) -> bytes:
    """The raw key of a PEM text. Raises InvalidParameterError when it is none, or of another kind."""
    return _key_of(pem, "PUBLIC KEY", PUBLIC_PREFIX, source)


def private_key(pem: str, source: str) -> bytes:
    """As ``public_key``."""
    return _key_of(pem, "PRIVATE KEY", PRIVATE_PREFIX, source)


def encode_public_key(raw: bytes) -> str:
    return _pem("PUBLIC KEY", PUBLIC_PREFIX + raw)


def encode_private_key(raw: bytes) -> str:
    return _pem("PRIVATE KEY", PRIVATE_PREFIX + raw)


def _key_of(pem: str, kind: str, prefix: bytes, source: str) -> bytes:
    found = re.search(rf"-----BEGIN {kind}-----\s+([A-Za-z0-9+/=\s]+)-----END {kind}-----", pem)
    try:
        der = base64.b64decode(found[1]) if found else b""
    except binascii.Error:
        der = b""
    if len(der) != len(prefix) + KEY_BYTES or not der.startswith(prefix):
        raise InvalidParameterError(f"{source} is no Ed25519 {kind.lower()} in PEM")
    return der[-KEY_BYTES:]


def _pem(kind: str, der: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{base64.b64encode(der).decode()}\n-----END {kind}-----\n"
