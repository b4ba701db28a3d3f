"""``VolumeCreate``."""

from collections.abc import Iterator

from tidegate.access.asked import Asked
from tidegate.access.confinement.host_paths import VOLUME_NAME, volume_driver_claims
from tidegate.access.confinement.labels import reserved_labels
from tidegate.access.confinement.tree import mapping, text
from tidegate.access.demands import Demand, DemandKind
from tidegate.access.references import ObjectReference

CREATE_FIELDS = frozenset({"ClusterVolumeSpec", "Driver", "DriverOpts", "Labels"})


def create_claims(asked: Asked) -> Iterator[Demand | ObjectReference]:
    """``VolumeCreate``."""
    tree = asked.document.tree
    options = [(key, text(mapping(tree, "DriverOpts"), key)) for key in mapping(tree, "DriverOpts")]
    yield from volume_driver_claims(text(tree, "Driver"), options, "volume")
    yield from reserved_labels(mapping(tree, "Labels"), "Labels")
    name = text(tree, "Name")
    if name and not VOLUME_NAME.fullmatch(name):
        yield Demand(DemandKind.FIELD, "Name", name)
    if tree.get("ClusterVolumeSpec") is not None:
        yield Demand(DemandKind.FIELD, "ClusterVolumeSpec", "a cluster volume")
