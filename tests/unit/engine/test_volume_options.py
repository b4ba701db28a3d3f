"""Options of the local volume driver, in moby's words and as mounts."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.mounts.volume_options import DeviceMount, check_volume_options, device_mount, volume_size


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"colour": "red"}, 'invalid option: "colour"'),
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"device": "/x"}, 'missing required option: "type"'),
        ({"o": "bind"}, 'missing required option: "device"'),
        ({"o": "bind", "type": "none"}, 'missing required option: "device"'),
        ({"size": "10m", "type": "tmpfs", "device": "tmpfs"}, 'invalid option: "size"'),
        ({"size": "much"}, "invalid size: 'much'"),
        ({"type": "cifs", "device": "//host:445/x"}, "port not allowed in CIFS device URL, include 'port' in 'o='"),
        ({"type": "none", "device": "/x\0y"}, "NUL"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        check_volume_options(options)
    assert problem in caught.value.message


def test_options_are_read_as_a_mount() -> None:
    check_volume_options({"size": "0"})
    assert volume_size({}) == 0 and volume_size({"size": "10m"}) == 10 << 20
    assert device_mount({}) is None
    assert device_mount({"size": "0"}) is None
    tmpfs = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,ro,rw,nosuid,uid=7"}
    assert device_mount(tmpfs) == DeviceMount("tmpfs", "tmpfs", 2, "size=1m,uid=7")
    assert device_mount({"type": "none", "device": "/d", "o": "rbind"}) == DeviceMount("/d", "none", 4096 | 16384)
    nfs = device_mount({"type": "nfs", "device": ":/x", "o": "addr=server,rw,nolock"})
    assert nfs == DeviceMount(":/x", "nfs", 0, "addr=server,nolock", "server")
    cifs = device_mount({"type": "cifs", "device": "//server/x", "o": "username=u,password=secret"})
    assert cifs == DeviceMount("//server/x", "cifs", 0, "username=u,password=secret,addr=server", "server")
    assert cifs is not None and cifs.shown == "username=u,password=********,addr=server"
    for empty, problem in (({"type": "x", "device": ""}, "device"), ({"type": "", "device": "x"}, "volume type")):
        with pytest.raises(InvalidParameterError, match=f"missing {problem} in volume options"):
            device_mount(empty)
