"""What ``VolumesFrom`` brings into a new container."""

import json

import pytest
from tests.unit.engine.creation.test_plan import IMAGE

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.engine.creation.plan import Defaults, Related, SourceImage, plan_new_container
from tidegate.engine.mounts.volumes_from import Inherited, inherit_mounts
from tidegate.model.container import BindUse, Container, Settings, VolumeUse
from tidegate.spec.codec import decode, encode
from tidegate.spec.container import CreateRequest, HostConfig, Mount

HOST = HostConfig(
    binds=("cache:/cache:ro", "/srv:/srv:rslave"),
    mounts=(Mount(type="bind", source="/etc", target="/conf", read_only=True), Mount(type="tmpfs", target="/t")),
)
VOLUMES = (VolumeUse("cache", "/cache"), VolumeUse("f" * 64, "/data", anonymous=True))
OTHER = Container(
    "c" * 64, "db", 1, "a", "i", document=encode(CreateRequest(host_config=HOST)), settings=Settings(volumes=VOLUMES)
)


def find(name_or_id: str) -> Container:
    if name_or_id != "db":
        raise NotFoundError(f"No such container: {name_or_id}")
    return OTHER


def inherited(*volumes_from: str, **host: object) -> Inherited:
    document = {"HostConfig": {"VolumesFrom": volumes_from, **host}}
    return inherit_mounts(decode(CreateRequest, json.dumps(document).encode()), find)


def test_volumes_and_binds_come_as_the_other_has_them() -> None:
    got = inherited("db")
    assert got.volumes == (
        VolumeUse("cache", "/cache", copy_up=False, read_only=True),
        VolumeUse("f" * 64, "/data", copy_up=False),
    )
    assert got.binds == (BindUse("/srv", "/srv", False, "rslave"), BindUse("/etc", "/conf", True))
    assert inherited("db:rw") == got


def test_read_only_makes_everything_so() -> None:
    got = inherited("db:ro")
    assert all(use.read_only for use in (*got.volumes, *got.binds))


def test_what_the_client_mounts_there_itself_wins() -> None:
    got = inherited("db", Binds=["mine:/cache"], Tmpfs={"/srv": ""})
    assert got.targets == {"/conf", "/data"}


def test_an_inherited_volume_stands_for_the_image_s_and_is_not_the_new_one_s_own() -> None:
    image = SourceImage("img", "sha256:1", (), IMAGE)
    new = plan_new_container("n", image, CreateRequest(), Defaults(), Related(inherited("db")))
    assert [(use.name, use.anonymous) for use in new.settings.volumes] == [("cache", False), ("f" * 64, False)]
    heir = Container("d" * 64, "heir", 1, "a", "i", document=new.document, settings=new.settings)
    request = CreateRequest(host_config=HostConfig(volumes_from=("heir",)))
    assert inherit_mounts(request, lambda _: heir) == inherited("db")


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("gone", "No such container: gone"),
        ("db:never", "invalid mode: never"),
        ("db:ro,rw", "invalid mode"),
        (":ro", "volumes-from"),
    ],
)
def test_what_cannot_be_is_refused(entry: str, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        inherited(entry)
