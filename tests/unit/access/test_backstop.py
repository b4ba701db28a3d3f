"""The two tables agree: what ``spec`` calls confined or dangerous is looked at here, or refused by name."""

import pytest
from tests.unit.access.asking import ALICE

from tidegate.access.asked import Asked, Facts, read_asked
from tidegate.access.confinement.claims import looked_at, plain_path
from tidegate.access.decision import decide
from tidegate.access.policy import built_in_policy
from tidegate.access.reach import DEVELOP
from tidegate.spec.requests import tables
from tidegate.spec.requests.classification import class_of_parameter, every_path
from tidegate.spec.requests.risks import Risk

# What no confined role may set to anything but zero, beyond what confinement says of each field by itself.
REFUSED_WHATEVER_THE_VALUE = {
    ("ContainerCreate", name)
    for name in (
        *("BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps", "BlkioDeviceWriteIOps"),
        *("BlkioWeightDevice", "DiskQuota", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd"),
        *("IOMaximumBandwidth", "IOMaximumIOps", "RestartPolicy", "StorageOpt", "Tmpfs"),
    )
}


def risky_fields() -> list[tuple[str, str]]:
    found = set()
    for operation_id in DEVELOP:
        for path, one in every_path(operation_id).items():
            if one.risk is not Risk.HARMLESS:
                found.add((operation_id, plain_path(path)))
        for name in tables.parameters(operation_id):
            if class_of_parameter(operation_id, name).risk is not Risk.HARMLESS:
                found.add((operation_id, name))
    return sorted(found)


def test_every_risky_field_is_looked_at_or_refused_by_name() -> None:
    forgotten = {(operation_id, path) for operation_id, path in risky_fields() if path not in looked_at(operation_id)}
    cluster = {(operation_id, path) for operation_id, path in forgotten if path.startswith("ClusterVolumeSpec.")}
    assert forgotten - cluster == REFUSED_WHATEVER_THE_VALUE


@pytest.mark.parametrize(("operation_id", "path"), sorted(REFUSED_WHATEVER_THE_VALUE))
def test_what_nobody_looks_at_is_refused(operation_id: str, path: str) -> None:
    asked = Asked(operation_id, document=Facts(dangerous=(path,)))
    assert not decide(built_in_policy(), ALICE, "developer", asked).allowed


def test_a_request_is_read_into_a_question() -> None:
    asked = read_asked("POST", "/v1.41/containers/create?name=x", b'{"image":"a","hostconfig":{"privileged":true}}')
    assert asked.operation_id == "ContainerCreate"
    assert asked.query.tree == {"name": "x"}
    assert asked.document.tree == {"Image": "a", "HostConfig": {"Privileged": True}}
    assert asked.document.dangerous == ("HostConfig.Privileged",)
    assert read_asked("POST", "/containers/web/kill?signal=9").object_id == "web"
