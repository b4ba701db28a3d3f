"""Ed25519 (RFC 8032) by the libcrypto that Python's ``ssl`` has in memory already: EVP_DigestSign(3).

For processes that sign all day and do nothing else with keys: the library for certificates would cost them 15 MB. Keys
are 32 raw bytes; their PEM is that of RFC 8410.
"""

import ctypes
import os
from functools import cache
from typing import Any

from tidegate.base.errors import InternalError, NotSupportedError

KEY_BYTES = 32
SIGNATURE_BYTES = 64
PRIVATE_PREFIX = bytes.fromhex("302e020100300506032b657004220420")  # PKCS #8: version, algorithm, the key
PUBLIC_PREFIX = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo

_LIBRARY = "libcrypto.so.3"
_NID_ED25519 = 1087
_pointer, _size, _bytes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
_DECLARATIONS: dict[str, tuple[Any, list[Any]]] = {
    "EVP_PKEY_new_raw_private_key": (_pointer, [ctypes.c_int, _pointer, _bytes, _size]),
    "EVP_PKEY_new_raw_public_key": (_pointer, [ctypes.c_int, _pointer, _bytes, _size]),
    "EVP_PKEY_get_raw_public_key": (ctypes.c_int, [_pointer, _bytes, ctypes.POINTER(_size)]),
    "EVP_PKEY_free": (None, [_pointer]),
    "EVP_MD_CTX_new": (_pointer, []),
    "EVP_MD_CTX_free": (None, [_pointer]),
    "EVP_DigestSignInit": (ctypes.c_int, [_pointer] * 5),
    "EVP_DigestSign": (ctypes.c_int, [_pointer, _bytes, ctypes.POINTER(_size), _bytes, _size]),
    "EVP_DigestVerifyInit": (ctypes.c_int, [_pointer] * 5),
    "EVP_DigestVerify": (ctypes.c_int, [_pointer, _bytes, _size, _bytes, _size]),
}


@cache
def _crypto() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise NotSupportedError(f"{_LIBRARY} cannot be loaded: {error}") from error
    for name, (result, arguments) in _DECLARATIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _must(result: Any, what: str) -> Any:
    """OpenSSL's functions return null, or what is not 1, when they fail."""
    if not result:
        raise InternalError(f"libcrypto: {what} failed")
    return result


class PrivateKey:
    """``seed`` is the private key of RFC 8032, section 5.1.5. Any thread may sign."""

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        new = _crypto().EVP_PKEY_new_raw_private_key
        self._key = _must(new(_NID_ED25519, None, seed, len(seed)), "reading a private key")

    @classmethod
    def generate(cls) -> "PrivateKey":
        return cls(os.urandom(KEY_BYTES))

    def __del__(self) -> None:
        if key := self.__dict__.get("_key"):
            _crypto().EVP_PKEY_free(key)

    def public_key(self) -> bytes:
        """Its 32 raw bytes."""
        out, size = ctypes.create_string_buffer(KEY_BYTES), _size(KEY_BYTES)
        _must(_crypto().EVP_PKEY_get_raw_public_key(self._key, out, ctypes.byref(size)), "reading a public key")
        return out.raw

    def sign(self, message: bytes) -> bytes:
        """64 bytes, always the same for the same message."""
        crypto = _crypto()
        context = _must(crypto.EVP_MD_CTX_new(), "EVP_MD_CTX_new")
        try:
            _must(crypto.EVP_DigestSignInit(context, None, None, None, self._key), "EVP_DigestSignInit")
            out, size = ctypes.create_string_buffer(SIGNATURE_BYTES), _size(SIGNATURE_BYTES)
            _must(crypto.EVP_DigestSign(context, out, ctypes.byref(size), message, len(message)), "EVP_DigestSign")
            return out.raw
        finally:
            crypto.EVP_MD_CTX_free(context)


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` was made over ``message`` with the private key of ``public_key`` (32 raw bytes)."""
    crypto = _crypto()
    key = crypto.EVP_PKEY_new_raw_public_key(_NID_ED25519, None, public_key, len(public_key))
    if not key:
        return False  # no point of the curve
    context = _must(crypto.EVP_MD_CTX_new(), "EVP_MD_CTX_new")
    try:
        _must(crypto.EVP_DigestVerifyInit(context, None, None, None, key), "EVP_DigestVerifyInit")
        return bool(crypto.EVP_DigestVerify(context, signature, len(signature), message, len(message)) == 1)
    finally:
        crypto.EVP_MD_CTX_free(context)
        crypto.EVP_PKEY_free(key)
