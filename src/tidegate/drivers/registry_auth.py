"""Authentication against a registry: reading challenges, and fetching tokens.

Invariants: credentials are sent only to the registry that asked or, over TLS (or where the registry itself is
plaintext), to the realm it named; a token is for one repository. Source: distribution's spec/auth/{token,oauth}.md.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from tidegate.base.errors import UnauthorizedError, UnavailableError
from tidegate.engine.ports import RegistryAuth

_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"\s*([A-Za-z]+)\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One ``WWW-Authenticate`` header; ``scheme`` in lower case."""

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What to send to the realm."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


Exchange = Callable[[TokenRequest], tuple[int, bytes]]


def parse_challenge(header: str) -> Challenge:
    match = _SCHEME.match(header)
    if match is None:
        raise UnavailableError(f"registry sent an unreadable challenge: {header[:200]!r}")
    pairs = _PARAMETER.findall(match[2])
    return Challenge(match[1].lower(), {name.lower(): quoted or bare for name, quoted, bare in pairs})


def basic_header(auth: RegistryAuth) -> str:
    return "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()


def plan_token_request(
    challenge: Challenge, path: str, auth: RegistryAuth | None, registry_is_plaintext: bool
) -> TokenRequest:
    """How to get a pull token for repository ``path``."""
    realm = challenge.parameters.get("realm", "")
    url = urlsplit(realm)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise UnavailableError(f"registry named an invalid token realm {realm!r}")
    has_secret = auth is not None and bool(auth.username or auth.identity_token)
    if has_secret and url.scheme == "http" and not registry_is_plaintext:
        raise UnauthorizedError(f"refusing to send credentials to the plaintext token realm {realm!r}")
    fields = {"scope": challenge.parameters.get("scope") or f"repository:{path}:pull"}
    if "service" in challenge.parameters:
        fields["service"] = challenge.parameters["service"]
    if auth is not None and auth.identity_token:
        form = fields | {
            "grant_type": "refresh_token",
            "refresh_token": auth.identity_token,
            "client_id": "tidegate",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return TokenRequest("POST", realm, headers, urlencode(form).encode())
    headers = {"Authorization": basic_header(auth)} if auth is not None and auth.username else {}
    return TokenRequest("GET", f"{realm}{'&' if url.query else '?'}{urlencode(fields)}", headers, None)


def authorize(
    challenge: Challenge, path: str, auth: RegistryAuth | None, registry_is_plaintext: bool, exchange: Exchange
) -> str:
    """The ``Authorization`` header that answers ``challenge``; UnauthorizedError when there is none."""
    if challenge.scheme == "basic":
        if auth is None or not auth.username:
            raise UnauthorizedError("no basic auth credentials")
        return basic_header(auth)
    if challenge.scheme != "bearer":
        raise UnauthorizedError(f"registry asks for the unknown authentication scheme {challenge.scheme!r}")
    if auth is not None and auth.registry_token:
        return "Bearer " + auth.registry_token
    status, body = exchange(plan_token_request(challenge, path, auth, registry_is_plaintext))
    if status in (400, 401, 403):
        raise UnauthorizedError("unauthorized: incorrect username or password")
    return "Bearer " + _parse_token(status, body)


def _parse_token(status: int, body: bytes) -> str:
    try:
        document = json.loads(body) if status == 200 else None
    except ValueError as error:
        raise UnavailableError("registry's token service sent no JSON") from error
    token = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise UnavailableError(f"registry's token service answered {status} without a token")
    return token
