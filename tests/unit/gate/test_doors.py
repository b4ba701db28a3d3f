"""Scoped sockets are written in one line, and every wrong one is refused with the part that is wrong."""

from pathlib import Path

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.gate.doors import Door, ScopedSocket, parse_scoped_socket


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/run/a.sock,role=viewer", ScopedSocket(Path("/run/a.sock"), "viewer")),
        ("/run/a.sock,group=0,mode=600,role=ci", ScopedSocket(Path("/run/a.sock"), "ci", 0o600, 0)),
        ("/run/a.sock,role=ci,group=root", ScopedSocket(Path("/run/a.sock"), "ci", 0o660, 0)),
    ],
)
def test_a_line_says_path_role_mode_and_group(text: str, expected: ScopedSocket) -> None:
    assert parse_scoped_socket(text) == expected
    assert parse_scoped_socket(text).door == Door("/run/a.sock", expected.role)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.sock,role=viewer", "absolute path"),
        ("/run/a.sock", "names no role"),
        ("/run/a.sock,role=", "'role='"),
        ("/run/a.sock,role=a,role=b", "role is given twice"),
        ("/run/a.sock,role=a,mode=999", "mode '999'"),
        ("/run/a.sock,role=a,mode=7777", "mode '7777'"),
        ("/run/a.sock,role=a,group=no-such-group", "no group"),
        ("/run/a.sock,role=a,owner=b", "'owner=b'"),
    ],
)
def test_a_wrong_line_names_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        parse_scoped_socket(text)
