"""Accounts at registries: a login is tried there and never kept here."""

from collections.abc import Mapping

import msgspec

from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.engine.ports import Registry, RegistryAuth
from tidegate.http.messages import Response
from tidegate.spec.auth import AuthConfig
from tidegate.spec.codec import decode


class RegistryHandlers(msgspec.Struct, frozen=True):
    """On the port itself: nothing of a login is the engine's."""

    registry: Registry

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {"SystemAuth": self.login}

    async def login(self, call: Call) -> Response:
        """POST /auth."""
        auth = credentials(decode(AuthConfig, await call.document_bytes()))
        identity_token = await self.registry.login(auth)
        return json_response({"Status": "Login Succeeded", "IdentityToken": identity_token})


def credentials(auth: AuthConfig) -> RegistryAuth:
    """What a client wrote, as the registry's driver takes it."""
    return RegistryAuth(auth.username, auth.password, auth.identity_token, auth.registry_token, auth.server_address)
