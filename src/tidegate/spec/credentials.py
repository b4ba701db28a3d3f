"""The accounts at registries that a client sends along in a header: read strictly, and written anew.

- ``X-Registry-Auth`` has one account, ``X-Registry-Config`` (builds) one for each address; both are base64url of JSON.
- moby ignores what it cannot decode, Podman may read a map where moby reads one account: what is sent on is the
  canonical form of what was read here, with the fields of ``AuthConfig`` alone.
- No error says anything of what was in a header.

Where an engine reads them: ``daemon/server/router`` of moby. The engine's own reading: ``spec/auth.py``.
"""

import base64
import binascii
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.references import DEFAULT_DOMAIN
from tidegate.spec.requests.readers import read
from tidegate.spec.requests.types import Mapped, Named

AUTH, CONFIG = "x-registry-auth", "x-registry-config"
CREDENTIAL_HEADERS = frozenset({AUTH, CONFIG})
_HEADER_OF: Mapping[str, str] = MappingProxyType(
    {
        "ImageBuild": CONFIG,
        **dict.fromkeys(
            (
                *("DistributionInspect", "ImageCreate", "ImagePush", "ImageSearch"),
                *("GetPluginPrivileges", "PluginPull", "PluginPush", "PluginUpgrade"),
                *("ServiceCreate", "ServiceUpdate"),
            ),
            AUTH,
        ),
    }
)
_SHOWN = {AUTH: "X-Registry-Auth", CONFIG: "X-Registry-Config"}
_FIELDS = ("username", "password", "auth", "email", "serveraddress", "identitytoken", "registrytoken")
_HUB = frozenset({"", "index.docker.io", "registry-1.docker.io", "hub.docker.com", DEFAULT_DOMAIN})

Account = Mapping[str, str]


class Credentials(msgspec.Struct, frozen=True):
    """``header`` is "" when none were sent. Of ``AUTH`` the one account is at "", of ``CONFIG`` each at its address."""

    header: str = ""
    accounts: Mapping[str, Account] = msgspec.field(default_factory=lambda: MappingProxyType({}))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The registries that the accounts say they are of."""
        return tuple(sorted({host for at in self.accounts for host in self._hosts_of(at)}))

    def keeping(self, hosts: Collection[str]) -> "Credentials":
        """Those at ``hosts`` alone."""
        kept = {at: account for at, account in self.accounts.items() if self._hosts_of(at) <= set(hosts)}
        return Credentials(self.header, kept)

    def encode(self) -> str:
        """The value of the header that is sent on."""
        value = self.accounts if self.header == CONFIG else self.accounts.get("", {})
        return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode()

    def _hosts_of(self, at: str) -> set[str]:
        addresses = (at, self.accounts[at].get("serveraddress", ""))
        return {registry_host(address) for address in addresses if address}


NO_CREDENTIALS = Credentials()


def registry_host(address: str) -> str:
    """The registry that an address means: ``https://index.docker.io/v1/`` is docker.io."""
    host = address.split("://", 1)[-1].partition("/")[0].lower()
    return DEFAULT_DOMAIN if host in _HUB else host


def read_credentials(operation_id: str, headers: Iterable[tuple[str, str]]) -> Credentials:
    """What an engine would read of ``headers`` (names in lower case) for the operation.

    Raises InvalidParameterError for a header that cannot be decoded, or is there twice.
    """
    header = _HEADER_OF.get(operation_id, "")
    values = [value for name, value in headers if name == header and value]
    if not values:
        return NO_CREDENTIALS
    shown = _SHOWN[header]
    if len(values) > 1:
        raise InvalidParameterError(f"invalid {shown} header: it is there twice: send it once")
    data = _decoded(values[0], shown)
    account = Named("AuthConfig")
    try:
        tree, _ = read(Mapped(account) if header == CONFIG else account, data)
    except InvalidParameterError as error:
        wanted = "one AuthConfig for each registry" if header == CONFIG else "one AuthConfig"
        raise InvalidParameterError(f"invalid {shown} header: its content is not the JSON of {wanted}") from error
    accounts = tree if header == CONFIG else {"": tree}
    return Credentials(header, {at: _account(each) for at, each in _items(accounts)})


def _decoded(value: str, shown: str) -> bytes:
    text = value.rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidParameterError(f"invalid {shown} header: must be a valid base64url-encoded string") from error


def _items(tree: object) -> Iterable[tuple[str, object]]:
    return tree.items() if isinstance(tree, dict) else ()


def _account(tree: object) -> Account:
    """The fields that ``AuthConfig`` has, but for empty ones."""
    fields = dict(_items(tree))
    return {name: value for name in _FIELDS if isinstance(value := fields.get(name), str) and value}
