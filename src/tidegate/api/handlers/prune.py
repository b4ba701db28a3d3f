"""Prune of containers and images, and of what this engine has none of; that of volumes is in ``volumes.py``."""

from collections.abc import Mapping

import msgspec

from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.engine.prune import PruneService
from tidegate.http.messages import Response
from tidegate.spec.filters import parse_boolean_filter, parse_filters

FILTERS = frozenset({"label", "label!", "until"})
IMAGE_FILTERS = FILTERS | {"dangling"}
BUILD_FILTERS = frozenset({"description", "id", "inuse", "parent", "private", "shared", "type", "until"})


class PruneHandlers(msgspec.Struct, frozen=True):
    """On the prune service."""

    prunes: PruneService

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {
            "ContainerPrune": self.containers,
            "ImagePrune": self.images,
            "NetworkPrune": self.networks,
            "BuildPrune": self.builds,
        }

    async def containers(self, call: Call) -> Response:
        """POST /containers/prune."""
        pruned = await self.prunes.stopped(parse_filters(call.query.text("filters"), FILTERS))
        return json_response({"ContainersDeleted": list(pruned.deleted), "SpaceReclaimed": pruned.reclaimed_bytes})

    async def images(self, call: Call) -> Response:
        """POST /images/prune: those without names, and with ``dangling=false`` every unused one."""
        filters = parse_filters(call.query.text("filters"), IMAGE_FILTERS)
        dangling_only = parse_boolean_filter(filters, "dangling", True)
        pruned = await self.prunes.unused_images(filters, dangling_only=dangling_only)
        return json_response({"ImagesDeleted": list(pruned.messages), "SpaceReclaimed": pruned.reclaimed_bytes})

    async def networks(self, call: Call) -> Response:
        """POST /networks/prune: there are only the predefined networks, which a prune leaves alone."""
        parse_filters(call.query.text("filters"), FILTERS)
        self.prunes.nothing("network")
        return json_response({"NetworksDeleted": []})

    async def builds(self, call: Call) -> Response:
        """POST /build/prune: there is no build cache."""
        parse_filters(call.query.text("filters"), BUILD_FILTERS)
        pruned = self.prunes.nothing("builder")
        return json_response({"CachesDeleted": [], "SpaceReclaimed": pruned.reclaimed_bytes})
