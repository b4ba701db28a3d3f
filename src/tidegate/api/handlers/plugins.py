"""Plugins: there are none, and none can be installed yet; so every one that is named is not found.

``docker inspect NAME`` asks for a plugin when nothing else has that name, and ``docker plugin ls`` for all of them.
Installing (``PluginPull``, ``PluginCreate``) is not built.
"""

from collections.abc import Mapping

from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.base.errors import NotFoundError
from tidegate.http.messages import Response
from tidegate.spec.filters import parse_boolean_filter, parse_filters

LIST_FILTERS = frozenset({"capability", "enabled"})
_OF_ONE = ("PluginInspect", "PluginDelete", "PluginEnable", "PluginDisable", "PluginUpgrade", "PluginSet", "PluginPush")


async def list_plugins(call: Call) -> Response:
    """GET /plugins."""
    filters = parse_filters(call.query.text("filters"), LIST_FILTERS)
    parse_boolean_filter(filters, "enabled", default=True)
    return json_response([])


async def find_plugin(call: Call) -> Response:
    """What is asked of one plugin, whatever it is."""
    raise NotFoundError(f'plugin "{call.parameters["name"]}" not found')


def handlers() -> Mapping[str, Handler]:
    """Operation id to handler."""
    return {"PluginList": list_plugins, **dict.fromkeys(_OF_ONE, find_plugin)}
