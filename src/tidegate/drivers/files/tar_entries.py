"""What the entries of an archive say beyond the common fields; for layers and for uploads."""

import tarfile
from decimal import Decimal, InvalidOperation


class RefusedEntryError(Exception):
    """The archive asks for something it may not."""


def modification_time_ns(member: tarfile.TarInfo) -> int:
    """Raises RefusedEntryError."""
    text = member.pax_headers.get("mtime", str(member.mtime))
    try:
        return int(Decimal(text) * 10**9)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise RefusedEntryError(f"{member.name!r}: invalid mtime {text!r}") from error


def extended_attributes(member: tarfile.TarInfo) -> dict[str, bytes]:
    """Without ``trusted.*``: those would steer overlayfs."""
    prefix = "SCHILY.xattr."
    found = {key[len(prefix) :]: value for key, value in member.pax_headers.items() if key.startswith(prefix)}
    return {
        name: value.encode("utf-8", "surrogateescape")
        for name, value in found.items()
        if not name.startswith("trusted.")
    }
