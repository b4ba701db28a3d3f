"""Ed25519 by libcrypto: the vectors of RFC 8032, and agreement with the library for keys."""

import os

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.base.errors import InternalError
from tidegate.pki.audit.ed25519 import PRIVATE_PREFIX, PUBLIC_PREFIX, PrivateKey, is_signed

# RFC 8032, section 7.1, TEST 1 to 3: private key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
        "55141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
        "00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
        "027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc(seed: str, public: str, message: str, signature: str) -> None:
    key = PrivateKey(bytes.fromhex(seed))
    assert key.public_key().hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert is_signed(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))
    assert not is_signed(bytes.fromhex(public), bytes.fromhex(message) + b"x", bytes.fromhex(signature))


def test_the_library_for_keys_agrees() -> None:
    ours = PrivateKey.generate()
    theirs = Ed25519PrivateKey.from_private_bytes(ours.seed)
    message = os.urandom(1000)
    theirs.public_key().verify(ours.sign(message), message)
    assert is_signed(ours.public_key(), message, theirs.sign(message))
    pkcs8 = theirs.private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.NoEncryption())
    assert pkcs8 == PRIVATE_PREFIX + ours.seed
    spki = theirs.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    assert spki == PUBLIC_PREFIX + ours.public_key()


def test_what_is_no_key_or_signature_is_refused() -> None:
    with pytest.raises(InternalError, match="private key"):
        PrivateKey(b"short")
    key = PrivateKey.generate()
    assert not is_signed(b"short", b"", key.sign(b""))
    assert not is_signed(key.public_key(), b"", b"short")
    assert not is_signed(PrivateKey.generate().public_key(), b"", key.sign(b""))
