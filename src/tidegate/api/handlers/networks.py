"""Networks: list, inspect, and why the predefined ones cannot be removed; own networks are not built yet."""

from collections.abc import Mapping

import msgspec

from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.api.views.networks import members_view, network_view
from tidegate.base.errors import InvalidParameterError
from tidegate.engine.networks import Network, PredefinedNetworks
from tidegate.http.messages import Response
from tidegate.spec.filters import Filters, labels_match, parse_boolean_filter, parse_filters

LIST_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_SCOPES = ("", "local", "global", "swarm")
_TYPES = frozenset({"builtin", "custom"})


class NetworkHandlers(msgspec.Struct, frozen=True):
    """On the networks."""

    networks: PredefinedNetworks

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {"NetworkList": self.list, "NetworkInspect": self.inspect, "NetworkDelete": self.delete}

    async def list(self, call: Call) -> Response:
        """GET /networks."""
        filters = parse_filters(call.query.text("filters"), LIST_FILTERS)
        types = frozenset(filters.get("type", ()))
        if types - _TYPES:
            raise InvalidParameterError(f"invalid filter: 'type'='{min(types - _TYPES)}'")
        bridge = self.networks.bridge()
        return json_response([network_view(each, bridge) for each in self.networks.list() if _matches(each, filters)])

    async def inspect(self, call: Call) -> Response:
        """GET /networks/{id}."""
        scope = call.query.text("scope")
        if scope not in _SCOPES:
            raise InvalidParameterError(f"invalid scope: {scope!r}")
        network = self.networks.resolve(call.parameters["id"])
        members = members_view(network, self.networks.members(network))
        return json_response({**network_view(network, self.networks.bridge()), "Containers": members})

    async def delete(self, call: Call) -> Response:
        """DELETE /networks/{id}."""
        self.networks.remove(call.parameters["id"])
        return Response(204)


def _matches(network: Network, filters: Filters) -> bool:
    """A predefined network is never dangling, and has no labels."""
    names, ids, drivers, scopes, types = (filters.get(key, ()) for key in ("name", "id", "driver", "scope", "type"))
    return (
        (not names or any(name in network.name for name in names))
        and (not ids or any(network.id.startswith(prefix) for prefix in ids))
        and (not drivers or network.driver in drivers)
        and (not scopes or "local" in scopes)
        and (not types or "builtin" in types)
        and not parse_boolean_filter(filters, "dangling", False)
        and labels_match(filters.get("label", ()), {})
    )
