"""What a commit makes of an image's configuration: pure. Source: image-spec config.md; moby ``NewChildImage``."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.engine.images.records import Image
from tidegate.spec.timestamps import format_time

_INHERITED = ("architecture", "os", "os.version", "os.features", "variant")


class ImageChange(msgspec.Struct, frozen=True):
    """``config`` is the new OCI config object; ``name`` is the reference of the new image, "" for none."""

    config: Mapping[str, Any]
    author: str = ""
    comment: str = ""
    created_by: str = ""
    name: str = ""

    def document(self, base: Image, diff_id: str | None, now_ns: int) -> Mapping[str, Any]:
        """The image's configuration document; ``diff_id`` None where no layer is added."""
        parent, created = base.config.document, format_time(now_ns)
        step = {"created": created, "created_by": self.created_by, "author": self.author, "comment": self.comment}
        history = {key: value for key, value in step.items() if value}
        empty = {} if diff_id else {"empty_layer": True}
        return {
            **{key: parent[key] for key in _INHERITED if key in parent},
            "created": created,
            **({"author": self.author} if self.author else {}),
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": [*base.config.diff_ids, *([diff_id] if diff_id else [])]},
            "history": [*(parent.get("history") or ()), {**history, **empty}],
        }
