"""Mounts of older clients."""

import json

import pytest

from tidegate.api.mount_versions import upgrade_mounts
from tidegate.api.profile import decide_profile
from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import decode
from tidegate.spec.container import BindOptions, CreateRequest, Mount


def upgraded(version: str | None, mount: dict[str, object]) -> Mount:
    request = decode(CreateRequest, json.dumps({"HostConfig": {"Mounts": [mount]}}).encode())
    return upgrade_mounts(request, decide_profile(version)).host_config.mounts[0]


def test_read_only_binds_reach_below_from_1_44_on() -> None:
    bind = {"Type": "bind", "Source": "/s", "Target": "/t", "ReadOnly": True}
    assert upgraded("1.43", bind).bind_options == BindOptions(read_only_non_recursive=True)
    assert upgraded("1.43", {**bind, "ReadOnly": False}).bind_options == BindOptions()
    assert upgraded("1.44", bind).bind_options is None
    asked = {**bind, "BindOptions": {"ReadOnlyNonRecursive": True}}
    assert upgraded(None, asked).bind_options == BindOptions(read_only_non_recursive=True)


def test_options_that_old_engines_did_not_look_at() -> None:
    volume = {"Type": "volume", "Target": "/t", "BindOptions": {"Propagation": "shared"}}
    assert upgraded("1.41", volume).bind_options is None
    assert upgraded("1.42", volume).bind_options is not None
    made = {"Type": "bind", "Source": "/s", "Target": "/t", "BindOptions": {"CreateMountpoint": True}}
    options = [upgraded(version, made).bind_options for version in ("1.41", "1.42")]
    assert [each and each.create_mountpoint for each in options] == [False, True]
    tmpfs = {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Options": [["exec"]]}}
    found = [upgraded(version, tmpfs).tmpfs_options for version in ("1.45", "1.46")]
    assert [each and each.options for each in found] == [(), (("exec",),)]


@pytest.mark.parametrize(
    ("before", "mount", "complaint"),
    [
        (
            "1.43",
            {"Type": "bind", "BindOptions": {"ReadOnlyForceRecursive": True}},
            "BindOptions.ReadOnlyForceRecursive needs API v1.44",
        ),
        ("1.44", {"Type": "volume", "VolumeOptions": {"Subpath": "a"}}, "VolumeOptions.Subpath needs API v1.45"),
        ("1.47", {"Type": "image", "Source": "x"}, 'Mount type "Image" needs API v1.48'),
    ],
)
def test_what_came_later_is_refused(before: str, mount: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        upgraded(before, mount)
    upgraded(None, mount)
