"""Docker's references."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.references import is_digest, is_identifier, parse_name_and_tag, parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("alpine", "docker.io/library/alpine", "alpine"),
        ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
        ("docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("index.docker.io/a/b", "docker.io/a/b", "a/b"),
        ("docker.io/library/a", "docker.io/library/a", "a"),
        ("localhost/a", "localhost/a", "localhost/a"),
        ("localhost:5000/a:b", "localhost:5000/a:b", "localhost:5000/a:b"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        ("ghcr.io/a/b/c:T_1", "ghcr.io/a/b/c:T_1", "ghcr.io/a/b/c:T_1"),
        ("Host/a", "Host/a", "Host/a"),
        (f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}", f"a@{DIGEST}"),
        (f"a:t@{DIGEST}", f"docker.io/library/a:t@{DIGEST}", f"a:t@{DIGEST}"),
        ("a__b--c.d", "docker.io/library/a__b--c.d", "a__b--c.d"),
    ],
)
def test_forms(text: str, full: str, familiar: str) -> None:
    found = parse_reference(text)
    assert (str(found), found.familiar) == (full, familiar)
    assert parse_reference(str(found)) == found
    assert parse_reference(found.familiar) == found


def test_default_tag() -> None:
    assert parse_reference("a").with_default_tag().tag == "latest"
    assert parse_reference(f"a@{DIGEST}").with_default_tag().tag is None
    assert parse_reference("a:b").with_default_tag().tag == "b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "repository name must have at least one component"),
        ("a" * 64, "cannot specify 64-byte hexadecimal strings"),
        ("Alpine", r"repository name \(library/Alpine\) must be lowercase"),
        ("a/" + "b" * 255, "must not be more than 255 characters"),
        ("a:", "^invalid reference format$"),
        ("a:-b", "^invalid reference format$"),
        ("a//b", "^invalid reference format$"),
        ("../a", "^invalid reference format$"),
        ("a b", "^invalid reference format$"),
        ("a\n", "^invalid reference format$"),
        ("/a", "^invalid reference format$"),
        ("https://a/b", "^invalid reference format$"),
        ("a@", "^invalid reference format$"),
        ("a@sha256:abc", "^invalid reference format$"),
        ("a@sha256:" + "a" * 63, "invalid checksum digest length"),
        ("a@sha256:" + "A" * 64, "invalid checksum digest format"),
        ("a@md5:" + "a" * 32, "unsupported digest algorithm"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        parse_reference(text)


def test_separate_tags() -> None:
    assert str(parse_name_and_tag("a", "")) == "docker.io/library/a"
    assert str(parse_name_and_tag("a:old", "new")) == "docker.io/library/a:new"
    assert parse_name_and_tag("a", DIGEST).digest == DIGEST
    with pytest.raises(InvalidParameterError, match="invalid tag format"):
        parse_name_and_tag("a", "b/c")


def test_ids() -> None:
    assert is_identifier("0" * 64) and not is_identifier("0" * 64 + "\n")
    assert is_digest(DIGEST) and not is_digest("sha256:abc") and not is_digest("md5:" + "a" * 32)
