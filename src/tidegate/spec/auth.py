"""What a client writes of its account at a registry: the body of a login, and the header of a pull or push.

Specification: definition AuthConfig, section "Authentication".
"""

import base64
import binascii

from msgspec import field

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import decode
from tidegate.spec.host_config import Document


class AuthConfig(Document, frozen=True):
    """Credentials, or a token that stands for them."""

    username: str = field(default="", name="username")
    password: str = field(default="", name="password")
    server_address: str = field(default="", name="serveraddress")
    identity_token: str = field(default="", name="identitytoken")
    registry_token: str = field(default="", name="registrytoken")


def parse_auth_header(header: str | None) -> AuthConfig | None:
    """``X-Registry-Auth``: base64url JSON, padded or not; None when it says nothing. Raises InvalidParameterError."""
    if not header:
        return None
    try:
        raw = base64.b64decode(header.rstrip("=") + "=" * (-len(header.rstrip("=")) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidParameterError(f"invalid X-Registry-Auth header: not base64url: {error}") from error
    try:
        auth = decode(AuthConfig, raw)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"invalid X-Registry-Auth header: {error.message}") from error
    return None if auth == AuthConfig() else auth
