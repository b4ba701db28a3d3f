"""Documents that the engine has stored: decoded once, since they never change."""

from functools import lru_cache

from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest

MOST_REMEMBERED = 2048


@lru_cache(maxsize=MOST_REMEMBERED)
def stored_request(document: bytes) -> CreateRequest:
    """A container's document, as it was accepted. Raises InvalidParameterError for a damaged record."""
    return decode(CreateRequest, document)
