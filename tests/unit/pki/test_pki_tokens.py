"""Join tokens: their text, what is derived from them, what a wrong one is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.joining.tokens import JoinToken, enrolment_proof, is_proof, new_token, parse_token


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
def test_written_and_read(digest: bytes, secret: bytes) -> None:
    token = JoinToken(digest, secret)
    text = str(token)
    assert len(text) == len("TGTKN-1-") + 50 + 1 + 25
    assert parse_token(f" {text.upper()}\n") == token


def test_a_token_names_its_ca_and_shows_its_secret_to_nobody() -> None:
    token = new_token(b"certificate")
    assert token.fits(b"certificate")
    assert not token.fits(b"another")
    assert token.secret.hex() not in repr(token)
    assert len({str(new_token(b"certificate")) for _ in range(50)}) == 50
    assert token.invitation != new_token(b"certificate").invitation
    assert token.invitation not in token.key.hex()


def test_a_proof_is_for_one_request_and_one_secret() -> None:
    token, other = new_token(b"ca"), new_token(b"ca")
    proof = enrolment_proof(token.key, "csr")
    assert is_proof(token.key, "csr", proof)
    for key, csr, shown in ((other.key, "csr", proof), (token.key, "csr2", proof), (token.key, "csr", proof + "0")):
        assert not is_proof(key, csr, shown)
    assert not is_proof(token.key, "csr", "\ud800")


GOOD = str(JoinToken(bytes(32), bytes(16)))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a join token"), ("SWMTKN-1-a-b", "not a join token"), (GOOD[:-1], "not whole"),
        (GOOD[:-25] + "z" * 25, "not whole"), (GOOD.replace("-1-", "-2-"), "version 2"), (GOOD[:-1] + "!", "not whole"),
    ],
)  # fmt: skip
def test_wrong_ones(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        parse_token(text)
