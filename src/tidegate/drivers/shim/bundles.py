"""The bundles of containers: EXEC_ROOT/bundles/CONTAINER_ID with the OCI configuration that the runtime reads.

A container whose control groups are not below the engine's own has a file ``cgroup-parent`` beside it, which is written
first: whatever was made of the container is found by it, also by a later engine.
"""

import json
import posixpath
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PARENT = "cgroup-parent"


class Bundles:
    """``parent`` is the engine's own control group; paths of groups are from the top of the hierarchy."""

    def __init__(self, root: Path, parent: str) -> None:
        self._root = root
        self._parent = parent.strip("/")
        self._elsewhere: dict[str, str | None] = {}

    def path(self, container_id: str) -> Path:
        """The container's directory."""
        return self._root / container_id

    def write(self, container_id: str, oci_config: Mapping[str, Any]) -> Path:
        """Returns the directory. Raises OSError."""
        bundle = self.path(container_id)
        bundle.mkdir(parents=True, exist_ok=True, mode=0o700)
        parent = posixpath.dirname(str(oci_config.get("linux", {}).get("cgroupsPath", ""))).strip("/")
        elsewhere = parent if parent != self._parent else None
        if elsewhere is not None:
            (bundle / _PARENT).write_text(elsewhere)
        else:
            (bundle / _PARENT).unlink(missing_ok=True)
        self._elsewhere[container_id] = elsewhere
        (bundle / "config.json").write_text(json.dumps(oci_config))
        return bundle

    def cgroup_parent(self, container_id: str) -> str | None:
        """The group above the container's, where that is not the engine's; see ``kernel.cgroups.Elsewhere``."""
        if container_id not in self._elsewhere:
            try:
                self._elsewhere[container_id] = (self.path(container_id) / _PARENT).read_text()
            except FileNotFoundError:
                self._elsewhere[container_id] = None
        return self._elsewhere[container_id]

    def remove(self, container_id: str) -> None:
        """One that is gone is success."""
        shutil.rmtree(self.path(container_id), ignore_errors=True)
        self._elsewhere.pop(container_id, None)
