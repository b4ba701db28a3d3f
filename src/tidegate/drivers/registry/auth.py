"""Authentication against a registry: reading challenges, fetching tokens, trying a login.

Invariants: credentials are sent only to the registry that asked or, over TLS (or where the registry itself is
plaintext), to the realm it named; a token is for one repository. Source: distribution's spec/auth/{token,oauth}.md.
"""

import base64
import http.client
import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import UnauthorizedError, UnavailableError
from tidegate.engine.ports import RegistryAuth

CLIENT_ID = "tidegate"
_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"\s*([A-Za-z]+)\s*(.*)", re.DOTALL)


class Challenge(msgspec.Struct, frozen=True):
    """One ``WWW-Authenticate`` header; ``scheme`` in lower case."""

    scheme: str
    parameters: Mapping[str, str]


class TokenRequest(msgspec.Struct, frozen=True):
    """What to send to the realm."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


class LoginTransport(Protocol):
    """How ``log_in`` reaches a registry and its token service (``registry_transport``)."""

    def follow(self, url: str, headers: Mapping[str, str], authorization: str | None) -> http.client.HTTPResponse: ...
    def exchange(self, request: TokenRequest) -> tuple[int, bytes]: ...


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
    challenge: Challenge, path: str | None, auth: RegistryAuth | None, registry_is_plaintext: bool
) -> TokenRequest:
    """How to get a pull token for repository ``path``, or for none."""
    realm = challenge.parameters.get("realm", "")
    url = urlsplit(realm)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise UnavailableError(f"registry named an invalid token realm {realm!r}")
    has_secret = auth is not None and bool(auth.username or auth.identity_token)
    if has_secret and url.scheme == "http" and not registry_is_plaintext:
        raise UnauthorizedError(f"refusing to send credentials to the plaintext token realm {realm!r}")
    scope = challenge.parameters.get("scope") or (f"repository:{path}:pull" if path is not None else "")
    fields = {"scope": scope} if scope else {}
    if "service" in challenge.parameters:
        fields["service"] = challenge.parameters["service"]
    if auth is not None and auth.identity_token:
        form = fields | {
            "grant_type": "refresh_token",
            "refresh_token": auth.identity_token,
            "client_id": CLIENT_ID,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return TokenRequest("POST", realm, headers, urlencode(form).encode())
    headers = {"Authorization": basic_header(auth)} if auth is not None and auth.username else {}
    separator = "&" if url.query else "?"
    return TokenRequest("GET", f"{realm}{separator}{urlencode(fields)}" if fields else realm, headers, None)


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
    return "Bearer " + _fetch_token(plan_token_request(challenge, path, auth, registry_is_plaintext), exchange)[0]


def log_in(url: str, auth: RegistryAuth, transport: LoginTransport) -> str:
    """Try the credentials on ``url``, a registry's ``/v2/``; returns the identity token to keep instead, or "".

    Raises UnauthorizedError when they are refused, UnavailableError for a registry that makes no sense.
    """
    response = transport.follow(url, {}, None)
    status, challenged = response.status, response.getheader("WWW-Authenticate") or ""
    response.close()
    identity_token = ""
    if status == 401:
        challenge = parse_challenge(challenged)
        if challenge.scheme == "bearer":
            request = plan_login_request(challenge, auth, url.startswith("http:"))
            token, identity_token = _fetch_token(request, transport.exchange)
            authorization = "Bearer " + token
        else:
            authorization = authorize(challenge, "", auth, url.startswith("http:"), transport.exchange)
        response = transport.follow(url, {}, authorization)
        status = response.status
        response.close()
    if status in (401, 403):
        raise UnauthorizedError(f"login attempt to {url} failed with status: {status} {HTTPStatus(status).phrase}")
    if status != 200:
        raise UnavailableError(f"registry answered {status} to a login at {url}")
    return identity_token


def plan_login_request(challenge: Challenge, auth: RegistryAuth, registry_is_plaintext: bool) -> TokenRequest:
    """How to get a token for no repository, and an identity token with it where the service gives such."""
    unscoped = Challenge(challenge.scheme, {key: text for key, text in challenge.parameters.items() if key != "scope"})
    request = plan_token_request(unscoped, None, auth, registry_is_plaintext)
    if request.body is not None:
        return request
    offline = urlencode({"account": auth.username, "client_id": CLIENT_ID, "offline_token": "true"})
    return replace(request, url=f"{request.url}{'&' if urlsplit(request.url).query else '?'}{offline}")


def _fetch_token(request: TokenRequest, exchange: Exchange) -> tuple[str, str]:
    """(access token, refresh token or "")."""
    status, body = exchange(request)
    if status in (400, 401, 403):
        raise UnauthorizedError("unauthorized: incorrect username or password")
    try:
        document = json.loads(body) if status == 200 else None
    except ValueError as error:
        raise UnavailableError("registry's token service sent no JSON") from error
    token = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise UnavailableError(f"registry's token service answered {status} without a token")
    refresh = document.get("refresh_token") if isinstance(document, dict) else None
    return token, refresh if isinstance(refresh, str) else ""
