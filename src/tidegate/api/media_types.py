"""Which media type a client gets of several that are offered, by its ``Accept`` header (RFC 9110, section 12.5.1).

Strict: what is not named is not chosen, so that a client that takes anything (``*/*``) gets what it always got.
"""

from collections.abc import Sequence

JSON = "application/json"
JSON_LINES = "application/jsonl"
ND_JSON = "application/x-ndjson"
JSON_SEQUENCE = "application/json-seq"
STREAMS_OF_JSON = (JSON_LINES, ND_JSON, JSON_SEQUENCE)
RECORD_SEPARATOR = b"\x1e"


def choose_media_type(accept: str | None, offered: Sequence[str]) -> str:
    """The offered type that ``accept`` names with the highest weight, the first of equals; "" for none."""
    weights: dict[str, float] = {}
    for part in (accept or "").lower().split(","):
        media_type, *parameters = (word.strip() for word in part.split(";"))
        weights[media_type] = max(_weight(parameters), weights.get(media_type, 0.0))
    best = max(offered, key=lambda each: weights.get(each, 0.0))
    return best if weights.get(best, 0.0) > 0 else ""


def _weight(parameters: Sequence[str]) -> float:
    """``q=0.5``; a weight that is no number means that the type is not wanted."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            text = value.strip()
            return float(text) if text.replace(".", "", 1).isdecimal() else 0.0
    return 1.0


def json_record(document: bytes, media_type: str) -> bytes:
    """One document of a stream, as its media type delimits it (RFC 7464 for the sequence)."""
    return RECORD_SEPARATOR + document + b"\n" if media_type == JSON_SEQUENCE else document + b"\n"
