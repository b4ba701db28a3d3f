"""What the wire says of a path, and when an archive is compressed."""

import base64
import json

import pytest

from tidegate.api.handlers.archives import accepts_gzip, stat_header
from tidegate.engine.file_ports import PathStat


def test_the_stat_header_is_base64_of_json() -> None:
    name, value = stat_header(PathStat("a", 3, 1 << 27 | 0o777, 1_500_000_000_000_000_001, "/b"))
    assert name == "X-Docker-Container-Path-Stat"
    assert json.loads(base64.b64decode(value, validate=True)) == {
        "name": "a",
        "size": 3,
        "mode": 134218239,
        "mtime": "2017-07-14T02:40:00.000000001Z",
        "linkTarget": "/b",
    }


@pytest.mark.parametrize(
    ("header", "meaning"),
    [([], False), (["gzip"], True), (["deflate", "gzip;q=0.5"], True), (["gzip;q=0"], False), (["identity"], False)],
)
def test_gzip_only_for_who_takes_it(header: list[str], meaning: bool) -> None:
    assert accepts_gzip(header) is meaning
