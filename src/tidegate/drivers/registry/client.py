"""A client of registries: the pull side of the OCI distribution API over ``http.client`` in threads of its own.

Fits ``engine.ports.Registry``. Invariants:

- manifests are checked against their digest here, blobs too, at their last byte;
- a blob that breaks off resumes with ``Range`` where it stopped; transient failures are retried with back-off;
- ``Authorization`` never follows a redirect to another host, and credentials never go to a mirror;
- plaintext only to registries configured as insecure, or on loopback, as Docker does, and only after TLS failed.
"""

import asyncio
import hashlib
import http.client
import ipaddress
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from tidegate.base.errors import (
    InvalidParameterError,
    NotFoundError,
    TidegateError,
    UnauthorizedError,
    UnavailableError,
)
from tidegate.drivers.registry.auth import authorize, log_in, parse_challenge
from tidegate.drivers.registry.transport import RegistryConfig, RegistryTransport
from tidegate.engine.ports import Descriptor, RegistryAuth
from tidegate.spec.oci_image import INDEX_TYPES, MANIFEST_TYPES, MAX_DOCUMENT_BYTES

T = TypeVar("T")
CHUNK_BYTES = 1 << 18
_HUB = frozenset({"", "docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com"})
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[a-f0-9:]+\])(?::[0-9]{1,5})?")
_TRANSIENT = (OSError, http.client.HTTPException)


class Endpoint(msgspec.Struct, frozen=True):
    """A place that serves a repository."""

    scheme: str
    host: str
    is_mirror: bool = False


def may_be_plaintext(host: str, insecure: Sequence[str]) -> bool:
    """Whether ``host[:port]`` is listed (by name, or by a CIDR of its address) or on loopback."""
    name = urlsplit("//" + host).hostname or ""
    if host in insecure or name in insecure or name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    networks = [ipaddress.ip_network(entry, strict=False) for entry in insecure if "/" in entry]
    return address.is_loopback or any(address in network for network in networks)


def plan_endpoints(repository: str, config: RegistryConfig) -> tuple[list[Endpoint], str]:
    """Where to look, in order, and the repository's path there. Mirrors serve Docker Hub only, as in Docker."""
    host, _, path = repository.partition("/")
    endpoints = []
    if host == "docker.io":
        host = "registry-1.docker.io"
        for mirror in config.mirrors:
            url = urlsplit(mirror)
            endpoints.append(Endpoint(url.scheme or "https", url.netloc, is_mirror=True))
    endpoints.append(Endpoint("https", host))
    if may_be_plaintext(host, config.insecure):
        endpoints.append(Endpoint("http", host))
    return endpoints, path


def login_host(server_address: str) -> str:
    """The registry that a login's server address means, a URL or a host. Raises InvalidParameterError."""
    host = server_address.split("://", 1)[-1].partition("/")[0].lower()
    if host in _HUB:
        return "docker.io"
    if not _HOST.fullmatch(host):
        raise InvalidParameterError(f"serveraddress: {server_address!r} names no registry")
    return host


class HTTPRegistry:
    """``close`` ends the threads."""

    def __init__(self, config: RegistryConfig | None = None, parallel: int = 16) -> None:
        self._config = config or RegistryConfig()
        self._transport = RegistryTransport(self._config)
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="registry")
        self._lock = threading.Lock()
        self._authorizations: dict[tuple[Endpoint, str, RegistryAuth | None], str] = {}

    def configure(self, config: RegistryConfig) -> None:
        """For what is asked from now on; tokens that were given are asked for again."""
        with self._lock:
            self._config, self._transport = config, RegistryTransport(config)
            self._authorizations = {}

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def manifest(self, repository: str, reference: str, auth: RegistryAuth | None) -> tuple[Descriptor, bytes]:
        """See the port. NotFoundError and UnauthorizedError in Docker's wording."""
        headers = {"Accept": ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))}

        def fetch() -> tuple[Descriptor, bytes]:
            response = self._open(repository, f"manifests/{reference}", auth, headers)
            try:
                raw = response.read(MAX_DOCUMENT_BYTES + 1)
            finally:
                response.close()
            if len(raw) > MAX_DOCUMENT_BYTES:
                raise InvalidParameterError(f"manifest of {repository} is larger than {MAX_DOCUMENT_BYTES} bytes")
            media_type = (response.getheader("Content-Type") or "").partition(";")[0].strip()
            return Descriptor(media_type, _checked_digest(raw, reference), len(raw)), raw

        return await self._retry(fetch)

    async def blob(self, repository: str, descriptor: Descriptor, auth: RegistryAuth | None) -> AsyncIterator[bytes]:
        """Chunks of the blob; InvalidParameterError at the end when its digest or size differs."""
        hasher, offset, failures = hashlib.sha256(), 0, 0
        while offset < descriptor.size or offset == 0:
            response = await self._retry(self._opener(repository, descriptor, auth, offset))
            try:
                while chunk := await self._in_thread(lambda: response.read(CHUNK_BYTES)):  # noqa: B023 - awaited here
                    offset, failures = offset + len(chunk), 0
                    hasher.update(chunk)
                    if offset > descriptor.size:
                        raise InvalidParameterError(f"blob {descriptor.digest} is longer than {descriptor.size} bytes")
                    yield chunk
            except _TRANSIENT as error:
                await self._back_off(failures, error)
            finally:
                response.close()
            if offset >= descriptor.size:
                break
            failures += 1
            if failures >= self._config.attempts:
                raise UnavailableError(f"blob {descriptor.digest}: unexpected EOF at byte {offset}")
        if "sha256:" + hasher.hexdigest() != descriptor.digest:
            raise InvalidParameterError(f"filesystem layer verification failed for digest {descriptor.digest}")

    async def login(self, auth: RegistryAuth) -> str:
        """See the port."""
        return await self._retry(lambda: self._log_in(auth))

    def _log_in(self, auth: RegistryAuth) -> str:
        endpoints, _ = plan_endpoints(login_host(auth.server_address), self._config)
        failure: TidegateError = UnavailableError(f"no endpoint serves {auth.server_address}")
        for endpoint in endpoints:
            if endpoint.is_mirror:
                continue
            try:
                return log_in(f"{endpoint.scheme}://{endpoint.host}/v2/", auth, self._transport)
            except _TRANSIENT as error:
                failure = UnavailableError(f'Get "{endpoint.scheme}://{endpoint.host}/v2/": {error}')
                failure.__cause__ = error
        raise failure

    def _opener(
        self, repository: str, descriptor: Descriptor, auth: RegistryAuth | None, offset: int
    ) -> Callable[[], http.client.HTTPResponse]:
        def open_at() -> http.client.HTTPResponse:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            response = self._open(repository, f"blobs/{descriptor.digest}", auth, headers)
            if offset and response.status != 206:  # the server knows no ranges: skip what we have
                left = offset
                while left and (skipped := response.read(min(left, CHUNK_BYTES))):
                    left -= len(skipped)
            return response

        return open_at

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _retry(self, work: Callable[[], T]) -> T:
        failures = 0
        while True:
            try:
                return await self._in_thread(work)
            except UnavailableError as error:
                await self._back_off(failures, error)
                failures += 1

    async def _back_off(self, failures: int, error: Exception) -> None:
        if failures + 1 >= self._config.attempts:
            raise error if isinstance(error, TidegateError) else UnavailableError(str(error)) from error
        await asyncio.sleep(self._config.backoff_s * 2**failures)

    def _open(
        self, repository: str, suffix: str, auth: RegistryAuth | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """The first endpoint's good answer; an error of a mirror, or of TLS before plaintext, tries the next."""
        endpoints, path = plan_endpoints(repository, self._config)
        failure: TidegateError = UnavailableError(f"no endpoint serves {repository}")
        for endpoint in endpoints:
            try:
                return self._request(endpoint, path, suffix, None if endpoint.is_mirror else auth, headers)
            except _TRANSIENT as error:
                failure = UnavailableError(f'Get "{endpoint.scheme}://{endpoint.host}/v2/": {error}')
                failure.__cause__ = error
            except TidegateError as error:
                if not endpoint.is_mirror:
                    raise
                failure = error
        raise failure

    def _request(
        self, endpoint: Endpoint, path: str, suffix: str, auth: RegistryAuth | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        url = f"{endpoint.scheme}://{endpoint.host}/v2/{path}/{suffix}"
        key = (endpoint, path, auth)
        with self._lock:
            known = self._authorizations.get(key)
        response = self._transport.follow(url, headers, known)
        if response.status == 401:
            challenge = parse_challenge(response.getheader("WWW-Authenticate") or "")
            response.close()
            try:
                known = authorize(challenge, path, auth, endpoint.scheme == "http", self._transport.exchange)
            except UnauthorizedError as error:
                raise _denied(endpoint, path, error.message) from error
            with self._lock:
                self._authorizations[key] = known
            response = self._transport.follow(url, headers, known)
        if response.status in (200, 206):
            return response
        status = response.status
        response.close()
        raise _failure(status, endpoint, path, suffix, anonymous=auth is None)


def _checked_digest(raw: bytes, reference: str) -> str:
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    if ":" in reference and digest != reference:
        raise InvalidParameterError(f"manifest verification failed for digest {reference}")
    return digest


def _familiar(endpoint: Endpoint, path: str) -> str:
    return path.removeprefix("library/") if endpoint.host == "registry-1.docker.io" else f"{endpoint.host}/{path}"


def _denied(endpoint: Endpoint, path: str, reason: str) -> TidegateError:
    """For a registry that refuses our client. Not UnauthorizedError: the client is known to this engine, and on a 401
    the docker CLI would ask for a password instead of telling the reason."""
    return NotFoundError(
        f"pull access denied for {_familiar(endpoint, path)}, repository does not exist or may require "
        f"'docker login': {reason}"
    )


def _failure(status: int, endpoint: Endpoint, path: str, suffix: str, *, anonymous: bool) -> TidegateError:
    name = _familiar(endpoint, path)
    if status == 404:
        kind, _, reference = suffix.partition("/")
        if kind == "blobs":
            return NotFoundError(f"blob {reference} of {name} not found: blob unknown")
        separator = "@" if ":" in reference else ":"
        return NotFoundError(f"manifest for {name}{separator}{reference} not found: manifest unknown: manifest unknown")
    if status == 401:
        reason = "no basic auth credentials" if anonymous else "unauthorized: incorrect username or password"
        return _denied(endpoint, path, reason)
    if status == 403:
        return _denied(endpoint, path, "denied: requested access to the resource is denied")
    if status == 429:
        return UnavailableError(f"toomanyrequests: {endpoint.host} limits the rate of pulls")
    return UnavailableError(f"registry {endpoint.host} answered {status} for {suffix}")
