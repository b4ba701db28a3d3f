"""What the wire shows of an image. Specification: definitions ImageSummary, ImageInspect, ImageConfig."""

from collections.abc import Mapping
from typing import Any

from tidegate.engine.event_sources.image_events import image_labels
from tidegate.engine.images.service import Image
from tidegate.spec.timestamps import parse_time

# What an image says of the containers made of it; docker-build of old wrote a container's whole configuration there.
_CONFIG = (
    "User", "ExposedPorts", "Env", "Cmd", "Healthcheck", "ArgsEscaped", "Volumes", "WorkingDir", "Entrypoint",
    "OnBuild", "Labels", "StopSignal", "Shell",
)  # fmt: skip


def config_of(image: Image) -> Mapping[str, Any]:
    """The configuration for containers, as it stands in the image."""
    return image.config.document.get("config") or {}


def summary_view(image: Image, containers: int, shared_bytes: int = -1) -> dict[str, Any]:
    """A row of GET /images/json; ``containers`` use it, -1 shared bytes were not asked for."""
    return {
        "Id": image.image_id,
        "ParentId": image.parent,
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.repo_digests),
        "Created": created_unix(image),
        "Size": image.size_bytes,
        "SharedSize": shared_bytes,
        "Labels": dict(image_labels(image.config.document)),
        "Containers": containers,
    }


def created_unix(image: Image) -> int:
    """Seconds; an image without a date is as old as the epoch."""
    text = image.config.document.get("created")
    return parse_time(text, 0) // 1_000_000_000 if isinstance(text, str) and text else 0


def inspect_view(image: Image) -> dict[str, Any]:
    """GET /images/{name}/json; what is not set is left out."""
    document, config, platform = image.config.document, config_of(image), image.config.platform
    optional = {
        "Parent": image.parent,
        "Comment": _comment(document),
        "Created": document.get("created"),
        "Author": document.get("author"),
        "Variant": platform.variant,
        "OsVersion": document.get("os.version"),
    }
    return {
        "Id": image.image_id,
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.repo_digests),
        **{name: value for name, value in optional.items() if isinstance(value, str) and value},
        "Config": {name: config[name] for name in _CONFIG if config.get(name)},
        "Architecture": platform.architecture,
        "Os": platform.os,
        "Size": image.size_bytes,
        "GraphDriver": {"Name": "overlay2", "Data": {}},
        "RootFS": {"Type": "layers", "Layers": list(image.config.diff_ids)},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }


def _comment(document: Mapping[str, Any]) -> object:
    """Of the last step that made the image."""
    history = document.get("history") or [{}]
    return document.get("comment") or (history[-1].get("comment") if isinstance(history[-1], dict) else None)
