"""A container as the engine knows it: identity, the settings it acts on, and the state of its life.

What the user wrote is kept as ``document``, raw JSON that the engine never changes; ``Settings`` is what was worked out
of it (and of the image) when the container was created.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tidegate.model.phases import State


class PublishedPort(msgspec.Struct, frozen=True):
    """``host_port`` 0 asks for an ephemeral one, a ``last_host_port`` for the first free one from ``host_port`` on."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int
    last_host_port: int = 0


class VolumeUse(msgspec.Struct, frozen=True):
    """A local volume that must exist; ``anonymous`` ones go with an auto-removed container.

    ``labels`` and ``driver_options`` are for a volume that has to be made; ``read_only`` says it of one from another
    container, the document of all others. ``subpath`` is the part of the volume that is mounted.
    """

    name: str
    container_path: str
    copy_up: bool = True
    anonymous: bool = False
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    read_only: bool = False
    subpath: str = ""
    driver_options: Mapping[str, str] = msgspec.field(default_factory=dict)


ReadOnlyDepth = Literal["top", "possible", "whole"]
"""Of a read-only bind: "top" leaves the mounts below it writable, "whole" must reach them all, "possible" reaches them
where the kernel can."""


class BindUse(msgspec.Struct, frozen=True):
    """A path of the host that the container has from another one."""

    host_path: str
    container_path: str
    read_only: bool = False
    propagation: str = "rprivate"
    recursive: bool = True
    depth: ReadOnlyDepth = "possible"


class MountedImage(msgspec.Struct, frozen=True):
    """An image that the container sees at a path; ``chain_ids`` are its layers, base up."""

    container_path: str
    image_id: str
    chain_ids: tuple[str, ...]


class Link(msgspec.Struct, frozen=True):
    """Another container on the default bridge, known as ``alias``."""

    container_id: str
    alias: str


JOINS = "container:"
"""Begins the name of a network that is another container's, whose id follows."""


class Settings(msgspec.Struct, frozen=True):
    """``network``: ``bridge``, ``none``, ``host`` or ``container:ID``; ``chain_ids``: the image's layers, base up;
    ``rootfs_bytes``: how much may be written, 0 for no limit.
    """

    chain_ids: tuple[str, ...] = ()
    network: str = "bridge"
    ports: tuple[PublishedPort, ...] = ()
    mac_address: str | None = None
    volumes: tuple[VolumeUse, ...] = ()
    inherited_binds: tuple[BindUse, ...] = ()
    images: tuple[MountedImage, ...] = ()
    stop_timeout_s: int = 10
    links: tuple[Link, ...] = ()
    rootfs_bytes: int = 0

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that the container needs, of its image and of those it mounts."""
        return (*self.chain_ids, *(chain_id for image in self.images for chain_id in image.chain_ids))

    @property
    def has_own_network(self) -> bool:
        """Whether the container's network namespace is made for it."""
        return self.network != "host" and not self.network.startswith(JOINS)


class Container(msgspec.Struct, frozen=True):
    """One container. ``name`` is without the slash; ``image`` is what the user typed, ``image_id`` its digest."""

    id: str
    name: str
    created_at_ns: int
    image: str
    image_id: str
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    document: bytes = b"{}"
    settings: Settings = msgspec.field(default_factory=Settings)
    state: State = msgspec.field(default_factory=State)
