"""Packing and parsing of netlink messages."""

import struct

import pytest

from tidegate.kernel.network import netlink
from tidegate.kernel.network.links import pack_mac


def test_attributes_are_padded_and_read_back() -> None:
    packed = netlink.text(3, "eth0") + netlink.u8(4, 1) + netlink.u32(10, 7)
    assert len(packed) % 4 == 0
    assert netlink.parse_attributes(packed) == {3: b"eth0\0", 4: b"\1", 10: struct.pack("=I", 7)}


def test_the_nested_flag_is_taken_off_the_type() -> None:
    outer = netlink.parse_attributes(netlink.nested(18, netlink.text(1, "veth")))
    assert netlink.parse_attributes(outer[18]) == {1: b"veth\0"}


@pytest.mark.parametrize("tail", [b"\x01", b"\x02\0\x01\0", b"\xff\xff\x01\0abc"])
def test_a_malformed_tail_ends_the_attributes(tail: bytes) -> None:
    assert netlink.parse_attributes(netlink.u32(1, 5) + tail) == {1: struct.pack("=I", 5)}


def test_messages_of_a_datagram_are_told_apart() -> None:
    datagram = netlink.pack_message(16, 5, 1, b"body1234") + netlink.pack_message(17, 0, 2, b"")
    assert list(netlink.parse_messages(datagram)) == [(16, 5, 1, b"body1234"), (17, 0, 2, b"")]


def test_an_error_brings_errno_and_the_kernels_explanation() -> None:
    body = (
        struct.pack("=i", -101) + netlink.pack_message(24, 0, 1, b"") + netlink.text(1, "Nexthop has invalid gateway")
    )
    assert netlink.parse_error(0x300, body) == (101, "Nexthop has invalid gateway")
    assert netlink.parse_error(0, struct.pack("=i", 0) + bytes(16)) == (0, "")


@pytest.mark.parametrize("mac_address", ["", "02:42", "02:42:ac:12:00:zz", "02:42:ac:12:00:02:03"])
def test_what_is_no_mac_address_is_refused(mac_address: str) -> None:
    with pytest.raises(ValueError):
        pack_mac(mac_address)
