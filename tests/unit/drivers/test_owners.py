"""Owners in archives: those that the container sees."""

import pytest

from tidegate.drivers.files.owners import THE_HOSTS, Owners, parse_map
from tidegate.drivers.files.tar_entries import RefusedEntryError


def test_the_host_s_are_what_they_are() -> None:
    assert THE_HOSTS.seen(5, 70_000) == THE_HOSTS.real(5, 70_000) == (5, 70_000)
    assert Owners(*[parse_map("         0          0 4294967295\n")] * 2).real(7, 8) == (7, 8)


def test_those_of_a_user_namespace_go_both_ways() -> None:
    owners = Owners(parse_map("0 1000 10\n10 5000 1\n"), parse_map("0 2000 10\n"))
    assert owners.seen(1003, 2004) == (3, 4) and owners.real(3, 4) == (1003, 2004)
    assert owners.seen(5000, 2000) == (10, 0) and owners.real(10, 0) == (5000, 2000)
    assert owners.seen(0, 999) == (65534, 65534)
    for uid, gid in ((11, 0), (0, 10)):
        with pytest.raises(RefusedEntryError, match="is not mapped"):
            owners.real(uid, gid)
