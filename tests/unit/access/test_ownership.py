"""Labels that say whose an object is, secrets left out of answers, and the rate of requests."""

import copy

import pytest

from tidegate.access.limits import rate
from tidegate.access.objects import ownership
from tidegate.access.objects.redaction import REDACTED, redact, redacts
from tidegate.access.roles import Rate
from tidegate.access.verdict import Redaction

MINE = {"tidegate.owner": "alice"}
THEIRS = {"tidegate.owner": "bob"}


def test_what_is_made_carries_its_owner() -> None:
    tree = {
        "Image": "x",
        "Labels": {"a": "b"},
        "HostConfig": {
            "Memory": 1,
            "Mounts": [
                {"Type": "volume", "Source": "v", "VolumeOptions": {"NoCopy": True, "Labels": {"c": "d"}}},
                {"Type": "tmpfs", "Target": "/t"},
            ],
        },
    }
    before = copy.deepcopy(tree)
    assert ownership.sign_document("ContainerCreate", tree, "alice") == {
        "Image": "x",
        "Labels": {"a": "b", **MINE},
        "HostConfig": {
            "Memory": 1,
            "Mounts": [
                {"Type": "volume", "Source": "v", "VolumeOptions": {"NoCopy": True, "Labels": {"c": "d", **MINE}}},
                {"Type": "tmpfs", "Target": "/t"},
            ],
        },
    }
    assert tree == before
    assert ownership.sign_document("VolumeCreate", {}, "alice") == {"Labels": MINE}
    assert ownership.sign_document("ContainerExec", {"Cmd": ["x"]}, "alice") == {"Cmd": ["x"]}
    assert ownership.sign_query("ImageBuild", {"t": ["x"]}, "alice") == {"t": ["x"], "labels": MINE}
    assert ownership.sign_query("ContainerList", {}, "alice") == {}


def test_filters_are_narrowed_never_widened() -> None:
    assert ownership.own_filters({}, "alice") == {"label": ("tidegate.owner=alice",)}
    asked = {"status": ["running"], "label": ["tidegate.owner=bob", "x"]}
    assert ownership.own_filters(asked, "alice") == {
        "status": ["running"],
        "label": ("tidegate.owner=bob", "x", "tidegate.owner=alice"),
    }


def test_what_is_not_the_owners_is_taken_out_of_an_answer() -> None:
    rows = [{"Id": "1", "Labels": MINE}, {"Id": "2", "Labels": THEIRS}, {"Id": "3", "Labels": None}, {"Id": "4"}]
    assert ownership.keep_own("ContainerList", rows, "alice") == [rows[0]]
    assert ownership.keep_own("VolumeList", {"Volumes": rows, "Warnings": None}, "alice") == {
        "Volumes": [rows[0]],
        "Warnings": None,
    }
    assert ownership.keep_own("VolumeList", {"Volumes": None}, "alice") == {"Volumes": []}
    event = {"Type": "container", "Actor": {"ID": "1", "Attributes": {"image": "x", **MINE}}}
    assert ownership.keep_own("SystemEvents", event, "alice") == event
    assert ownership.keep_own("SystemEvents", event, "bob") is None
    assert ownership.keep_own("SystemEvents", {"Type": "network", "Actor": {"Attributes": {}}}, "bob") is None
    assert ownership.keep_own("SystemEvents", "?", "bob") is None
    assert ownership.keep_own("ImageList", rows, "bob") == rows


CONTAINER = {
    "Id": "1",
    "Config": {"Env": ["A=1", "PASSWORD=hunter2", "EMPTY"], "Labels": MINE, "Cmd": ["sh"]},
    "HostConfig": {"LogConfig": {"Type": "splunk", "Config": {"splunk-token": "abc", "splunk-url": "u"}}},
}


def test_a_viewer_sees_names_of_variables_and_no_values() -> None:
    shown = redact("ContainerInspect", CONTAINER, Redaction.EVERYBODYS, "alice")
    assert "hunter2" not in repr(shown) and "abc" not in repr(shown)
    assert shown == {
        "Id": "1",
        "Config": {
            "Env": [f"A={REDACTED}", f"PASSWORD={REDACTED}", "EMPTY"],
            "Labels": MINE,
            "Cmd": ["sh"],
        },
        "HostConfig": {"LogConfig": {"Type": "splunk", "Config": {"splunk-token": REDACTED, "splunk-url": "u"}}},
    }


def test_a_developer_sees_its_own_secrets_only() -> None:
    assert redact("ContainerInspect", CONTAINER, Redaction.FOREIGN, "alice") == CONTAINER
    assert "hunter2" not in repr(redact("ContainerInspect", CONTAINER, Redaction.FOREIGN, "bob"))
    unlabelled = {"Config": {"Env": ["PASSWORD=hunter2"], "Labels": None}}
    assert "hunter2" not in repr(redact("ContainerInspect", unlabelled, Redaction.FOREIGN, ""))
    assert not redacts("ImageInspect", Redaction.FOREIGN)
    assert not redacts("ContainerInspect", Redaction.NOBODYS)
    assert not redacts("ContainerList", Redaction.EVERYBODYS)


@pytest.mark.parametrize(
    ("operation_id", "answer"),
    [
        ("ImageInspect", {"Config": {"Env": ["T=hunter2"]}, "ContainerConfig": {"Env": ["T=hunter2"]}}),
        ("ImageHistory", [{"CreatedBy": "|1 T=hunter2 /bin/sh -c make"}]),
        ("ImageHistory", [{"CreatedBy": "|2 A=x y T=hunter2 /bin/sh -c make"}]),
        ("ServiceInspect", {"Spec": {"TaskTemplate": {"ContainerSpec": {"Env": ["T=hunter2"]}}}}),
        ("ServiceList", [{"PreviousSpec": {"TaskTemplate": {"ContainerSpec": {"Env": ["T=hunter2"]}}}}]),
        ("TaskList", [{"Spec": {"ContainerSpec": {"Env": ["T=hunter2"]}}}]),
        ("ConfigInspect", {"Spec": {"Data": "aHVudGVyMg==hunter2"}}),
        ("ConfigList", [{"Spec": {"Data": "hunter2"}}]),
        ("PluginInspect", {"Settings": {"Env": ["T=hunter2"]}, "Config": {"Env": [{"Name": "T", "Value": "hunter2"}]}}),
        ("VolumeInspect", {"Options": {"o": "username=x,password=hunter2", "type": "cifs"}}),
        ("VolumeList", {"Volumes": [{"Options": {"api-token": "hunter2"}}]}),
        (
            "ContainerInspect",
            {"HostConfig": {"Mounts": [{"VolumeOptions": {"DriverConfig": {"Options": {"o": "password=hunter2"}}}}]}},
        ),
    ],
)
def test_secrets_stand_in_many_places(operation_id: str, answer: object) -> None:
    assert "hunter2" not in repr(redact(operation_id, answer, Redaction.EVERYBODYS, ""))


def test_an_answer_keeps_its_shape() -> None:
    assert redact("ContainerInspect", {"message": "No such container"}, Redaction.EVERYBODYS, "") == {
        "message": "No such container"
    }
    assert redact("ContainerInspect", {"Config": {"Env": None}}, Redaction.EVERYBODYS, "") == {"Config": {"Env": None}}
    assert redact("ImageHistory", [{"CreatedBy": "CMD |x"}], Redaction.EVERYBODYS, "") == [{"CreatedBy": "CMD |x"}]


def test_a_bucket_gives_a_burst_and_then_the_rate() -> None:
    limit = Rate(per_second=2.0, burst=3)
    bucket = rate.full_bucket(limit, 100.0)
    waits = []
    for _ in range(4):
        taken = rate.take(limit, bucket, 100.0)
        bucket = taken.bucket
        waits.append(taken.wait_s)
    assert waits == [0.0, 0.0, 0.0, 0.5]
    assert rate.take(limit, bucket, 100.5).wait_s == 0.0
    assert rate.take(limit, bucket, 99.0).wait_s == 0.5
    assert rate.full_at_s(limit, bucket) == 101.5
    assert rate.take(limit, bucket, 1000.0).bucket.tokens == 2.0


def test_a_file_of_the_client_is_no_business_of_an_engine() -> None:
    tree = {"Image": "a", "HostConfig": {"ContainerIDFile": "/etc/shadow", "Memory": 5}}
    signed = ownership.sign_document("ContainerCreate", tree, "CN=alice")
    assert signed["HostConfig"] == {"Memory": 5}
    assert (
        ownership.sign_document("ContainerCreate", tree, "CN=alice", volumes=False)["HostConfig"] == tree["HostConfig"]
    )
