"""What an operation made, read from the engine's answer: the audit names it, and policies are learned from that."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from tidegate.gate.screening import whole_response
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Response

_NAMES: Mapping[str, str] = MappingProxyType(
    {"ContainerCreate": "Id", "ContainerExec": "Id", "NetworkCreate": "Id", "VolumeCreate": "Name", "ImageCommit": "Id"}
)
_MADE = frozenset({200, 201})


async def made_by(operation_id: str, response: Response | Hijack) -> tuple[Response | Hijack, str]:
    """The response, and the id or name of what came to be; "" for nothing.

    Raises InternalError for an answer that is too large to be one about an object.
    """
    key = _NAMES.get(operation_id)
    if key is None or isinstance(response, Hijack) or response.status not in _MADE:
        return response, ""
    whole, content = await whole_response(response)
    try:
        answer = msgspec.json.decode(content)
    except msgspec.MsgspecError:
        return whole, ""
    made = answer.get(key) if isinstance(answer, Mapping) else None
    return whole, made if isinstance(made, str) else ""
