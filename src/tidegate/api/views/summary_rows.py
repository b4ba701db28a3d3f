"""Rows of the list of containers, encoded once: a row changes with its container, addresses or status text only.

Monitoring tools ask for the list every few seconds; with a thousand containers nearly all rows are the same each time.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import msgspec

from tidegate.api.views.containers import status_text, summary_view
from tidegate.engine.ports import BridgeAttachment
from tidegate.model.container import Container


class _Row(NamedTuple):
    container: Container
    attachment: BridgeAttachment | None
    status: str
    link_names: Sequence[str]
    encoded: msgspec.Raw


class SummaryRows:
    """The rows last shown, by container id. ``network_id`` answers the id of a network, which never changes."""

    def __init__(self, network_id: Callable[[str], str]) -> None:
        self._network_id = network_id
        self._rows: dict[str, _Row] = {}

    def row(
        self,
        container: Container,
        attachment: BridgeAttachment | None,
        now_ns: int,
        link_names: Sequence[str] = (),
    ) -> msgspec.Raw:
        """The container's row as JSON. Entities are immutable, so that identity tells a change."""
        status = status_text(container.state, now_ns)
        known = self._rows.get(container.id)
        if (
            known is not None
            and known.container is container
            and known.attachment is attachment
            and known.status == status
            and known.link_names == link_names
        ):
            return known.encoded
        view = summary_view(container, attachment, self._network_id(container.settings.network), status, link_names)
        encoded = msgspec.Raw(msgspec.json.encode(view))
        self._rows[container.id] = _Row(container, attachment, status, link_names, encoded)
        return encoded

    def keep_only(self, container_ids: Collection[str]) -> None:
        """Forget the rows of containers that are gone."""
        if len(self._rows) > len(container_ids):
            self._rows = {key: row for key, row in self._rows.items() if key in container_ids}
