"""Names are replaced by the ids that were checked, wherever an engine would read them again."""

import pytest
from tests.unit.access.asking import Tree

from tidegate.access.objects.pinning import NO_PINS, pin_document, pin_query
from tidegate.access.references import ObjectKind

PINS = (
    NO_PINS.with_id(ObjectKind.CONTAINER, "db", "C" * 64)
    .with_id(ObjectKind.NETWORK, "back", "N" * 64)
    .with_id(ObjectKind.NETWORK, "db", "M" * 64)
)
C, N, M = "C" * 64, "N" * 64, "M" * 64


@pytest.mark.parametrize(
    ("operation_id", "tree", "pinned"),
    [
        ("ContainerCreate", {"Image": "db"}, {"Image": "db"}),
        (
            "ContainerCreate",
            {"HostConfig": {"VolumesFrom": ["db", "db:ro", "x"], "Memory": 1}},
            {"HostConfig": {"VolumesFrom": [C, f"{C}:ro", "x"], "Memory": 1}},
        ),
        (
            "ContainerCreate",
            {"HostConfig": {"PidMode": "container:db", "IpcMode": "container:db", "NetworkMode": "container:db"}},
            {"HostConfig": {"PidMode": f"container:{C}", "IpcMode": f"container:{C}", "NetworkMode": f"container:{C}"}},
        ),
        ("ContainerCreate", {"HostConfig": {"NetworkMode": "db"}}, {"HostConfig": {"NetworkMode": M}}),
        ("ContainerCreate", {"HostConfig": {"NetworkMode": "bridge"}}, {"HostConfig": {"NetworkMode": "bridge"}}),
        (
            "ContainerCreate",
            {"HostConfig": {"Links": ["db", "/db:a"]}},
            {"HostConfig": {"Links": [f"{C}:db", "/db:a"]}},
        ),
        ("ContainerCreate", {"HostConfig": None}, {"HostConfig": None}),
        ("ContainerCreate", {"VolumesFrom": ["db"], "NetworkMode": "back"}, {"VolumesFrom": [C], "NetworkMode": N}),
        (
            "ContainerCreate",
            {"NetworkingConfig": {"EndpointsConfig": {"back": None, "x": {"Links": ["db:a"], "NetworkID": "db"}}}},
            {"NetworkingConfig": {"EndpointsConfig": {N: None, "x": {"Links": [f"{C}:a"], "NetworkID": M}}}},
        ),
        ("NetworkConnect", {"Container": "db"}, {"Container": C}),
        (
            "NetworkConnect",
            {"Container": "db", "EndpointConfig": {"Aliases": ["db"]}},
            {"Container": C, "EndpointConfig": {"Aliases": ["db"]}},
        ),
        ("NetworkDisconnect", {"Container": "db", "Force": True}, {"Container": C, "Force": True}),
        ("ContainerExec", {"Cmd": ["db"]}, {"Cmd": ["db"]}),
    ],
)
def test_documents(operation_id: str, tree: Tree, pinned: Tree) -> None:
    assert pin_document(operation_id, tree, PINS) == pinned


def test_queries() -> None:
    assert pin_query("ImageCommit", {"container": "db", "repo": "db"}, PINS) == {"container": C, "repo": "db"}
    assert pin_query("ImageBuild", {"networkmode": "container:db"}, PINS) == {"networkmode": f"container:{C}"}
    assert pin_query("ImageBuild", {"t": ["db"]}, PINS) == {"t": ["db"]}
    assert pin_query("ContainerRename", {"name": "db"}, PINS) == {"name": "db"}
