"""Binds as clients write them: ``SOURCE:TARGET[:OPTIONS]``. Pure; everyone who reads one reads it here."""

from tidegate.base.errors import InvalidParameterError

# The last three are Docker Desktop's; they mean nothing on Linux, to Docker either.
_BIND_OPTIONS = frozenset({
    "ro", "rw", "z", "Z", "nocopy", "private", "rprivate", "shared", "rshared", "slave", "rslave", "consistent",
    "cached", "delegated",
})  # fmt: skip


def split_bind(bind: str) -> tuple[str, str, frozenset[str]]:
    """``SOURCE:TARGET[:OPTIONS]`` of ``Binds``. Raises InvalidParameterError."""
    parts = bind.split(":")
    options = frozenset(parts[2].split(",")) if len(parts) == 3 else frozenset[str]()
    if len(parts) not in (2, 3) or not parts[0] or not parts[1].startswith("/") or parts[1] == "/":
        raise InvalidParameterError(f"invalid volume specification: '{bind}'")
    if options - _BIND_OPTIONS or len(options & {"ro", "rw"}) > 1:
        raise InvalidParameterError(f"invalid mode: {parts[2]}")
    return parts[0], parts[1].rstrip("/"), options
