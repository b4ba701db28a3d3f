"""Events of images, with the attributes that Docker gives them: the labels, and as ``name`` what was named.

A pull and a push are about a reference; everything else is about an image's id, which is its name too unless a tag was
given. Source: moby ``daemon/images/image_events.go`` and its callers.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.engine.events import EventBus


class ImageEvents(msgspec.Struct, frozen=True):
    """Puts them on the bus. ``config`` is the image's OCI configuration document."""

    bus: EventBus

    def tell(self, action: str, image_id: str, config: Mapping[str, Any], name: str = "") -> None:
        """About an image; ``name`` is the tag it got, if it got one."""
        self.bus.publish("image", action, image_id, {**image_labels(config), "name": name or image_id})

    def tell_of_reference(self, action: str, reference: str, repository: str, config: Mapping[str, Any]) -> None:
        """About what was asked of a registry; both names in familiar form."""
        self.bus.publish("image", action, reference, {**image_labels(config), "name": repository})


def image_labels(config: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels in an image's configuration document."""
    return (config.get("config") or {}).get("Labels") or {}
