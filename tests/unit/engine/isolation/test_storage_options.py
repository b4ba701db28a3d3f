"""The limit of a root filesystem, as clients write it."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.isolation.storage_options import parse_storage_size


@pytest.mark.parametrize(("text", "size"), [("10G", 10 << 30), ("120m", 120 << 20), ("1048576", 1 << 20)])
def test_sizes(text: str, size: int) -> None:
    assert parse_storage_size({"size": text}) == parse_storage_size({"Size": text}) == size
    assert parse_storage_size({}) == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"inodes": "7"}, "Unknown option inodes"),
        ({"size": "much"}, "StorageOpt size: invalid size"),
        ({"size": "10k"}, "StorageOpt size: 10k is less than 1M"),
    ],
)
def test_what_is_no_limit_is_refused(options: dict[str, str], complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        parse_storage_size(options)
