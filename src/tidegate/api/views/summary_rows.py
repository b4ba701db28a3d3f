"""Rows of the list of containers, encoded once: a row changes with its container, addresses or status text only.

Monitoring tools ask for the list every few seconds; with a thousand containers nearly all rows are the same each time.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.api.profile import ApiProfile
from tidegate.api.versions.answers import changes_since, shown_to
from tidegate.api.versions.change import View
from tidegate.api.views.containers import status_text, summary_view
from tidegate.engine.ports import BridgeAttachment
from tidegate.model.container import Container

KIND = "ContainerSummary"


class _Row(NamedTuple):
    """``encoded`` by the shape that clients expect."""

    container: Container
    attachment: BridgeAttachment | None
    status: str
    link_names: Sequence[str]
    encoded: dict[int, msgspec.Raw]


class SummaryRows:
    """The rows last shown, by container id.

    ``network_id`` answers the id of a network, ``volume_path`` where a volume is; neither changes.
    """

    def __init__(self, network_id: Callable[[str], str], volume_path: Callable[[str], Path]) -> None:
        self._network_id, self._volume_path = network_id, volume_path
        self._rows: dict[str, _Row] = {}

    def row(
        self,
        container: Container,
        attachment: BridgeAttachment | None,
        now_ns: int,
        link_names: Sequence[str],
        profile: ApiProfile,
    ) -> msgspec.Raw:
        """The container's row as JSON. Entities are immutable, so that identity tells a change."""
        row = self._row(container, attachment, now_ns, link_names)
        shape = len(changes_since(profile, KIND))  # each newer shape lacks some of the changes of an older one
        if shape not in row.encoded:
            row.encoded[shape] = msgspec.Raw(msgspec.json.encode(shown_to(profile, KIND, self._view(row))))
        return row.encoded[shape]

    def _row(
        self, container: Container, attachment: BridgeAttachment | None, now_ns: int, link_names: Sequence[str]
    ) -> _Row:
        status = status_text(container.state, now_ns)
        known = self._rows.get(container.id)
        if (
            known is not None
            and known.container is container
            and known.attachment is attachment
            and known.status == status
            and known.link_names == link_names
        ):
            return known
        self._rows[container.id] = _Row(container, attachment, status, link_names, {})
        return self._rows[container.id]

    def _view(self, row: _Row) -> View:
        network_id = self._network_id(row.container.settings.network)
        return summary_view(row.container, row.attachment, network_id, row.status, self._volume_path, row.link_names)

    def keep_only(self, container_ids: Collection[str]) -> None:
        """Forget the rows of containers that are gone."""
        if len(self._rows) > len(container_ids):
            self._rows = {key: row for key, row in self._rows.items() if key in container_ids}
