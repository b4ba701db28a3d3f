"""What a client writes about a volume: the body of create.

Specification: definition VolumeCreateRequest. ``ClusterVolumeSpec`` is kept undecoded, to be refused by name.
"""

from msgspec import field

from tidegate.spec.host_config import Document

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
"""Docker's mark of a volume that nobody named; prune takes these first."""


class VolumeCreateRequest(Document, frozen=True):
    """Body of POST /volumes/create."""

    name: str = field(default="", name="Name")
    driver: str = field(default="", name="Driver")
    driver_opts: dict[str, str] = field(default_factory=dict, name="DriverOpts")
    labels: dict[str, str] = field(default_factory=dict, name="Labels")
    cluster_volume_spec: dict[str, object] | None = field(default=None, name="ClusterVolumeSpec")
