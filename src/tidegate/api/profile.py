"""The API version of a client, decided once; no version is compared anywhere else.

Source: the specification's section "Versioning", and moby's answer to a version out of range.
"""

from functools import lru_cache

import msgspec

from tidegate.spec.api_version import NEWEST, ApiVersion, parse_version, refuse_newer


class ApiProfile(msgspec.Struct, frozen=True):
    """Named behaviours that no rewriting of a document can express."""

    version: ApiVersion

    def precedes(self, since: ApiVersion) -> bool:
        """Whether the client does not know yet what came with ``since``."""
        return self.version < since

    @property
    def multiplexed_content_type(self) -> bool:
        """Streams of a process without TTY are announced as ``multiplexed-stream`` (from 1.42)."""
        return self.version >= (1, 42)

    @property
    def binary_websockets(self) -> bool:
        """A process's output comes as binary messages, not as text (from 1.28)."""
        return self.version >= (1, 28)

    @property
    def websockets_have_all_streams(self) -> bool:
        """Attaching by WebSocket takes every stream, whatever the query says (below 1.42)."""
        return self.version < (1, 42)

    @property
    def sizes_consoles_at_start(self) -> bool:
        """The start of an exec may say the size of its terminal (from 1.42)."""
        return self.version >= (1, 42)

    @property
    def prunes_anonymous_volumes_only(self) -> bool:
        """Prune leaves named volumes alone unless asked for all (from 1.42)."""
        return self.version >= (1, 42)

    @property
    def checks_options_of_mounts(self) -> bool:
        """Options of another type of mount are an error, and a bind may ask for its source to be made (from 1.42)."""
        return self.version >= (1, 42)

    @property
    def read_only_is_recursive(self) -> bool:
        """A read-only mount of type bind is so with all that is mounted below it (from 1.44)."""
        return self.version >= (1, 44)

    @property
    def has_volume_subpaths(self) -> bool:
        """A part of a volume can be mounted (from 1.45)."""
        return self.version >= (1, 45)

    @property
    def has_tmpfs_options(self) -> bool:
        """``TmpfsOptions.Options`` is read (from 1.46)."""
        return self.version >= (1, 46)

    @property
    def has_image_mounts(self) -> bool:
        """Images can be mounted (from 1.48)."""
        return self.version >= (1, 48)

    @property
    def container_wide_mac_address(self) -> bool:
        """The hardware address that was asked for is one of the container, not of its endpoint (below 1.52)."""
        return self.version < (1, 52)

    @property
    def precedes_usage_totals(self) -> bool:
        """The disk usage is the lists of objects with their sizes, without totals (below 1.52)."""
        return self.version < (1, 52)

    @property
    def lists_uses_of_images(self) -> bool:
        """The list of images counts the containers of each (from 1.51; the disk usage did always)."""
        return self.version >= (1, 51)

    @property
    def filters_images_by_name(self) -> bool:
        """The list of images takes a ``filter``, which became the filter ``reference`` (below 1.41)."""
        return self.version < (1, 41)

    @property
    def whole_disk_usage_only(self) -> bool:
        """The disk usage cannot be asked for by ``type`` (below 1.42)."""
        return self.version < (1, 42)

    @property
    def streams_as_plain_json(self) -> bool:
        """Streams of JSON documents are announced as one document, and not as JSON lines (below 1.52)."""
        return self.version < (1, 52)

    @property
    def hides_image_creations(self) -> bool:
        """The event ``create`` of images is not told (below 1.46)."""
        return self.version < (1, 46)


@lru_cache(maxsize=64)
def decide_profile(version: str | None) -> ApiProfile:
    """``version`` is the path's prefix without its v; None means the newest. Raises InvalidParameterError."""
    if version is None:
        return ApiProfile(NEWEST)
    asked = parse_version(version)
    refuse_newer(asked)
    return ApiProfile(asked)
