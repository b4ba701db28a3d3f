"""References to images: ``[domain/]path[:tag][@digest]``, and their familiar and full forms.

- ``alpine`` is ``docker.io/library/alpine``; ``index.docker.io`` is ``docker.io``.
- A first component is a domain if it has a dot or a port, is ``localhost``, or has capitals.
- 64 hexadecimal digits alone are an image id, never a name.
- Without tag or digest a reference means ``latest`` only where the caller says so (``with_default_tag``).

Grammar and messages: github.com/distribution/reference (``regexp.go``, ``normalize.go``, ``reference.go``).
"""

import re

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
MAX_PATH_LENGTH = 255

_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_ALNUM = "[a-zA-Z0-9]"
_LABEL = f"(?:{_ALNUM}|{_ALNUM}[a-zA-Z0-9-]*{_ALNUM})"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?", re.ASCII)
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PATH_PART}(?:/{_PATH_PART})*", re.ASCII)
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}", re.ASCII)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}", re.ASCII)
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class Reference(msgspec.Struct, frozen=True):
    """A normalised reference; ``tag`` and ``digest`` are None when not written."""

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """``docker.io/library/alpine``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as users see it: ``alpine``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.repository
        short = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in short else short

    @property
    def familiar(self) -> str:
        """The whole reference as users see it: ``alpine:3.20``."""
        return self.familiar_name + self._suffix()

    def with_default_tag(self) -> "Reference":
        """With tag ``latest`` if there is neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def __str__(self) -> str:
        return self.repository + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """What a user typed, normalised. Raises InvalidParameterError with the reference library's wording."""
    if not text:
        raise _invalid("repository name must have at least one component")
    if _IDENTIFIER.fullmatch(text):
        raise _invalid("cannot specify 64-byte hexadecimal strings")
    rest, at, digest = text.partition("@")
    name, tag = _split_tag(rest)
    domain, path = _split_domain(name)
    if path != path.lower():
        raise _invalid(f"repository name ({path}) must be lowercase")
    valid = _DOMAIN.fullmatch(domain) and _PATH.fullmatch(path) and (tag is None or _TAG.fullmatch(tag))
    if not valid or (at and not _DIGEST.fullmatch(digest)):
        raise _invalid()
    if len(path) > MAX_PATH_LENGTH:
        raise _invalid(f"repository name must not be more than {MAX_PATH_LENGTH} characters")
    if at:
        _check_digest(digest)
    return Reference(domain, path, tag, digest if at else None)


def parse_name_and_tag(text: str, tag: str) -> Reference:
    """``fromImage`` (or ``repo``) with a separate tag or digest, as ``images/create``, ``tag`` and ``commit`` take it.

    Raises InvalidParameterError.
    """
    if not tag:
        return parse_reference(text)
    bare = parse_reference(text)
    if ":" in tag:
        return parse_reference(f"{bare.repository}@{tag}")
    if not _TAG.fullmatch(tag):
        raise InvalidParameterError("invalid tag format")
    return replace(bare, tag=tag, digest=None)


def is_identifier(text: str) -> bool:
    """Whether ``text`` is a full image or container id."""
    return bool(_IDENTIFIER.fullmatch(text))


def is_digest(text: str) -> bool:
    """Whether ``text`` is ``algorithm:hex`` of a known algorithm and its length, in lower case."""
    algorithm, _, encoded = text.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    return length is not None and re.fullmatch(f"[a-f0-9]{{{length}}}", encoded, re.ASCII) is not None


def _check_digest(digest: str) -> None:
    algorithm, _, encoded = digest.partition(":")
    if algorithm not in _DIGEST_LENGTHS:
        raise InvalidParameterError("unsupported digest algorithm")
    if len(encoded) != _DIGEST_LENGTHS[algorithm]:
        raise InvalidParameterError("invalid checksum digest length")
    if not is_digest(digest):
        raise InvalidParameterError("invalid checksum digest format")


def _invalid(reason: str = "") -> InvalidParameterError:
    return InvalidParameterError(f"invalid reference format: {reason}" if reason else "invalid reference format")


def _split_tag(text: str) -> tuple[str, str | None]:
    """A colon after the last slash begins a tag."""
    slash, colon = text.rfind("/"), text.rfind(":")
    return (text[:colon], text[colon + 1 :]) if colon > slash else (text, None)


def _looks_like_domain(component: str) -> bool:
    has_mark = "." in component or ":" in component
    return has_mark or component == "localhost" or component.lower() != component


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not _looks_like_domain(first):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = first, rest
    if domain == _LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = _OFFICIAL + path
    return domain, path
