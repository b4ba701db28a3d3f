"""Docker's authorization plugins, asked as dockerd asks them: before a request is carried out, and before its answer.

- Every plugin must allow, in the order configured. One that cannot be asked, answers nonsense or reports an error
  refuses: nothing here fails open.
- Bodies are whole, whatever their size, and their absence is an empty body that is still asked about: a zero length and
  a length beyond a limit have each been a way round such plugins.
- Credentials of registries are not shown to plugins.

Protocol: the Docker documentation's "Access authorization plugin" and "Docker Plugin API".
"""

import base64
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from tidegate.base.errors import (
    ForbiddenError,
    InternalError,
    InvalidParameterError,
    TidegateError,
)
from tidegate.http.client import UnixClient

MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json"
SOCKET_DIRECTORY = Path("/run/docker/plugins")
SPEC_DIRECTORIES = (Path("/etc/docker/plugins"), Path("/usr/lib/docker/plugins"))
_ANSWER_BYTES = 1 << 20
_UNSEEN_HEADERS = frozenset({"authorization", "x-registry-auth", "x-registry-config"})


class Question(msgspec.Struct, frozen=True):
    """A request as plugins see it; ``user`` is the certificate's CN, ``certificate`` its DER."""

    user: str
    certificate: bytes | None
    method: str
    target: str
    headers: Iterable[tuple[str, str]]
    body: bytes


class _Verdict(msgspec.Struct, rename="pascal"):
    allow: bool = False
    msg: str = ""
    err: str = ""


class _Activation(msgspec.Struct, rename="pascal"):
    implements: list[str] = []


class AuthzPlugins:
    """The configured plugins: names and the ways to them."""

    def __init__(self, plugins: Sequence[tuple[str, UnixClient]]) -> None:
        self._plugins = plugins
        self._active: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._plugins)

    async def authorize_request(self, question: Question) -> None:
        """Raises ForbiddenError when one denies, InternalError when one cannot be asked."""
        await self._ask("/AuthZPlugin.AuthZReq", _request_fields(question))

    async def authorize_response(
        self, question: Question, status: int, headers: Iterable[tuple[str, str]], body: bytes
    ) -> None:
        """Raises as ``authorize_request``; ``body`` is empty for answers that are streams."""
        fields = _request_fields(question)
        fields |= {"ResponseStatusCode": status, "ResponseHeaders": _shown(headers)}
        if body:
            fields["ResponseBody"] = base64.b64encode(body).decode()
        await self._ask("/AuthZPlugin.AuthZRes", fields)

    def replace(self, plugins: Sequence[tuple[str, UnixClient]]) -> None:
        """Ask these from now on; who is asked now is asked to the end."""
        former, self._plugins = self._plugins, plugins
        self._active = set()
        for _, client in former:
            client.retire()

    async def close(self) -> None:
        """Close the connections to the plugins."""
        for _, client in self._plugins:
            await client.close()

    async def _ask(self, path: str, fields: Mapping[str, object]) -> None:
        for name, client in self._plugins:
            try:
                if name not in self._active:
                    await _activate(client)
                    self._active.add(name)
                verdict = msgspec.json.decode(await _call(client, path, fields), type=_Verdict)
            except (TidegateError, msgspec.MsgspecError) as error:
                self._active.discard(name)
                raise InternalError(f"plugin {name} failed with error: {path[1:]}: {error}") from error
            if verdict.err:
                raise InternalError(f"plugin {name} failed with error: {path[1:]}: {verdict.err}")
            if not verdict.allow:
                raise ForbiddenError(f"authorization denied by plugin {name}: {verdict.msg}")


async def _activate(client: UnixClient) -> None:
    answer = msgspec.json.decode(await _call(client, "/Plugin.Activate", None), type=_Activation)
    if "authz" not in answer.implements:
        raise InvalidParameterError("it does not implement authz")


async def _call(client: UnixClient, path: str, fields: Mapping[str, object] | None) -> bytes:
    headers = [("Accept", MEDIA_TYPE), ("Content-Type", MEDIA_TYPE)]
    body = b"" if fields is None else msgspec.json.encode(fields)
    async with await client.request("POST", path, headers, body) as answer:
        content = await answer.read_all(_ANSWER_BYTES)
        if answer.status != 200:
            raise InternalError(f"status {answer.status}: {content[:200].decode('utf-8', 'replace')}")
        return content


def _request_fields(question: Question) -> dict[str, object]:
    fields: dict[str, object] = {
        "User": question.user,
        "RequestMethod": question.method,
        "RequestUri": question.target,
        "RequestHeaders": _shown(question.headers),
    }
    if question.certificate is not None:
        pem = ssl.DER_cert_to_PEM_cert(question.certificate)
        fields |= {
            "UserAuthNMethod": "TLS",
            "RequestPeerCertificates": [base64.b64encode(pem.encode()).decode()],
        }
    if question.body:
        fields["RequestBody"] = base64.b64encode(question.body).decode()
    return fields


def _shown(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """In Go's spelling of names (``X-Registry-Auth``); of a repeated header the last, as dockerd shows it."""
    return {name.title(): value for name, value in headers if name.lower() not in _UNSEEN_HEADERS}


class _Spec(msgspec.Struct, rename="pascal"):
    addr: str = ""


def find_plugin(
    name: str,
    socket_directory: Path = SOCKET_DIRECTORY,
    spec_directories: Sequence[Path] = SPEC_DIRECTORIES,
) -> Path:
    """The socket of an installed plugin, looked for where dockerd looks.

    Raises InvalidParameterError when there is none, or when it is not on a unix socket.
    """
    if not name or "/" in name or name.startswith("."):
        raise InvalidParameterError(f"authorization-plugins: {name!r} is no plugin name")
    for socket_path in (socket_directory / f"{name}.sock", socket_directory / name / f"{name}.sock"):
        if socket_path.is_socket():
            return socket_path
    for directory in spec_directories:
        for path in (directory / f"{name}.spec", directory / name / f"{name}.spec"):
            if path.is_file():
                return _unix_path(name, path.read_text().strip())
        for path in (directory / f"{name}.json", directory / name / f"{name}.json"):
            if path.is_file():
                return _unix_path(name, _address(path))
    raise InvalidParameterError(
        f"authorization-plugins: plugin {name!r} not found: no {name}.sock in {socket_directory} and no {name}.spec or "
        f"{name}.json in {', '.join(map(str, spec_directories))}"
    )


def _address(path: Path) -> str:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Spec).addr
    except msgspec.MsgspecError as error:
        raise InvalidParameterError(f"authorization-plugins: {path}: {error}") from error


def _unix_path(name: str, address: str) -> Path:
    if not address.startswith("unix://"):
        raise InvalidParameterError(
            f"authorization-plugins: {name} is at {address!r}: only unix:// addresses are supported; let the plugin "
            "listen on a unix socket"
        )
    return Path(address.removeprefix("unix://"))
