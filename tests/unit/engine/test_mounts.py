"""What may be mounted, in moby's words, and how a record's mounts are read."""

import json

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.creation.plan import Defaults, SourceImage, plan_new_container
from tidegate.engine.mounts.points import MountPoint, mount_points
from tidegate.engine.mounts.validation import check_bind_sources, check_mounts
from tidegate.model.container import Container, MountedImage
from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest


def host_of(**host: object) -> CreateRequest:
    return decode(CreateRequest, json.dumps({"HostConfig": host}).encode())


def refusal(**host: object) -> str:
    with pytest.raises(InvalidParameterError) as caught:
        check_mounts(host_of(**host).host_config)
    return caught.value.message


BIND = {"Type": "bind", "Source": "/s", "Target": "/t"}
VOLUME = {"Type": "volume", "Source": "v", "Target": "/t"}
TMPFS = {"Type": "tmpfs", "Target": "/t"}
IMAGE = {"Type": "image", "Source": "img", "Target": "/t"}


@pytest.mark.parametrize(
    ("mount", "problem"),
    [
        ({**BIND, "Target": ""}, "field Target must not be empty"),
        ({**BIND, "Target": "/x/.."}, "invalid specification: destination can't be '/'"),
        ({**BIND, "Target": "t"}, "invalid mount path: 't' mount path must be absolute"),
        ({**BIND, "Source": ""}, "field Source must not be empty"),
        ({**BIND, "Source": "s"}, "invalid mount path: 's' mount path must be absolute"),
        ({**BIND, "Source": "/s\0"}, "mount path must be absolute"),
        ({**BIND, "Consistency": "eventual"}, "field Consistency: 'eventual'"),
        ({**BIND, "VolumeOptions": {}}, "field VolumeOptions must not be specified"),
        ({**BIND, "BindOptions": {"Propagation": "wide"}}, "invalid propagation mode: wide"),
        ({**BIND, "BindOptions": {"ReadOnlyNonRecursive": True}}, "!ReadOnly && BindOptions.ReadOnlyNonRecursive"),
        ({**BIND, "BindOptions": {"ReadOnlyForceRecursive": True}}, "!ReadOnly && BindOptions.ReadOnlyForceRecursive"),
        (
            {**BIND, "ReadOnly": True, "BindOptions": {"ReadOnlyNonRecursive": True, "ReadOnlyForceRecursive": True}},
            "ReadOnlyNonRecursive && ReadOnlyForceRecursive",
        ),
        ({**VOLUME, "BindOptions": {}}, "field BindOptions must not be specified"),
        ({**VOLUME, "Source": "", "VolumeOptions": {"Subpath": "a"}}, "must not set Subpath when using anonymous"),
        ({**VOLUME, "VolumeOptions": {"Subpath": "../a"}}, "subpath must be a relative path within the volume"),
        ({**VOLUME, "VolumeOptions": {"Subpath": "a/../../b"}}, "subpath must be a relative path within the volume"),
        ({**VOLUME, "VolumeOptions": {"Subpath": "/a"}}, "subpath must be a relative path within the volume"),
        ({**VOLUME, "Source": "", "ReadOnly": True}, "must not set ReadOnly mode when using anonymous volumes"),
        ({**TMPFS, "Source": "x"}, "field Source must not be specified"),
        ({**TMPFS, "TmpfsOptions": {"SizeBytes": -1}}, "invalid tmpfs size: -1"),
        ({**TMPFS, "TmpfsOptions": {"Mode": 0o100777}}, "invalid tmpfs mode: 100777"),
        ({**TMPFS, "TmpfsOptions": {"Options": [["a"]]}}, 'Invalid tmpfs option "a"'),
        ({**TMPFS, "TmpfsOptions": {"Options": [["uid", "1", "2"]]}}, "invalid option array length"),
        ({**TMPFS, "TmpfsOptions": {"Options": [["uid", "1,dev"]]}}, "invalid option"),
        ({**TMPFS, "ImageOptions": {}}, "field ImageOptions must not be specified"),
        ({**IMAGE, "Source": ""}, "field Source must not be empty"),
        ({**IMAGE, "ImageOptions": {"Subpath": ".."}}, "subpath must be a relative path"),
        ({**IMAGE, "TmpfsOptions": {}}, "field TmpfsOptions must not be specified"),
        ({**BIND, "Type": "npipe"}, "mount type unknown"),
        ({**BIND, "Type": "cluster"}, "mount type unknown"),
        ({**BIND, "Type": ""}, "mount type unknown"),
    ],
)
def test_a_mount_that_cannot_be_is_refused_by_field(mount: dict[str, object], problem: str) -> None:
    told = refusal(Mounts=[mount])
    assert told.startswith(f'invalid mount config for type "{mount["Type"]}": ')
    assert problem in told


def test_one_place_is_mounted_once() -> None:
    assert refusal(Binds=["/a:/t", "v:/t/"]) == "Duplicate mount point: /t"
    assert refusal(Binds=["/a:/t"], Mounts=[VOLUME]) == "Duplicate mount point: /t"
    assert refusal(Tmpfs={"/t": ""}, Mounts=[VOLUME]) == "Duplicate mount point: /t"
    assert 'Invalid tmpfs option "x"' in refusal(Tmpfs={"/t": "x"})


def test_a_source_must_be_there_unless_it_is_to_be_made() -> None:
    made = {**BIND, "BindOptions": {"CreateMountpoint": True}}
    check_bind_sources(host_of(Mounts=[made, VOLUME], Binds=["/no:/no"]).host_config, lambda _: False)
    with pytest.raises(InvalidParameterError, match='type "bind": bind source path does not exist: /s'):
        check_bind_sources(host_of(Mounts=[BIND]).host_config, lambda _: False)


def test_every_mount_of_a_record() -> None:
    mounts = [
        {**BIND, "ReadOnly": True, "BindOptions": {"NonRecursive": True, "ReadOnlyForceRecursive": True}},
        {**BIND, "Target": "/u", "ReadOnly": True, "BindOptions": {"ReadOnlyNonRecursive": True}},
        {**VOLUME, "Target": "/v", "ReadOnly": True, "VolumeOptions": {"Subpath": "a/b"}},
        {**TMPFS, "Target": "/w", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 0o700, "Options": [["uid", "7"]]}},
        {**IMAGE, "Target": "/x/", "ImageOptions": {"Subpath": "etc"}},
    ]
    request = host_of(Mounts=mounts, Binds=["/b:/c:ro,rslave", "data:/d:ro"])
    mounted = (MountedImage("/x", "sha256:2", ("c2", "c3")),)
    source = SourceImage("img", "sha256:1", ("c1",), {"Cmd": ["sh"], "Volumes": {"/e": {}}}, mounted)
    new = plan_new_container("n", source, request, Defaults())
    assert new.settings.layers == ("c1", "c2", "c3")
    container = Container("1" * 64, "n", 0, "img", "sha256:1", document=new.document, settings=new.settings)
    anonymous = new.settings.volumes[-1].name
    assert mount_points(container) == [
        MountPoint("bind", "/c", "/b", True, "ro,rslave", "rslave", make_source=True),
        MountPoint("volume", "/d", "data", True, "ro"),
        MountPoint("bind", "/t", "/s", True, propagation="rprivate", recursive=False, depth="whole"),
        MountPoint("bind", "/u", "/s", True, propagation="rprivate", depth="top"),
        MountPoint("volume", "/v", "v", True, subpath="a/b"),
        MountPoint("tmpfs", "/w", options=("size=4096", "mode=700", "uid=7")),
        MountPoint("image", "/x", "img", True, subpath="etc", chain_ids=("c2", "c3")),
        MountPoint("volume", "/e", anonymous),
    ]
