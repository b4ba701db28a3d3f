"""Everything that real clients send is known: the recordings of the corpus, and docker-py's own documents."""

import inspect
import json

import pytest
from docker.types import ContainerConfig, EndpointConfig, HostConfig
from tests.corpus.recordings import everything

from tidegate.spec.catalogue import match
from tidegate.spec.documents import Body, body_of, read_document
from tidegate.spec.queries import read_query


@pytest.mark.parametrize(("method", "target", "body"), sorted(set(everything())))
def test_clients_send_nothing_unknown(method: str, target: str, body: str) -> None:
    path, _, raw_query = target.partition("?")
    operation_id = match(method, path).operation.operation_id
    query = read_query(operation_id, raw_query)
    document = read_document(operation_id, body.encode())
    assert query.unknown == () and document.unknown == ()
    assert read_query(operation_id, query.encode()) == query
    assert read_document(operation_id, document.encode()) == document
    if body_of(operation_id) is Body.DOCUMENT and body.strip() not in ("", "null"):
        assert document.tree == without_nulls(json.loads(body))


def without_nulls(tree: object) -> object:
    if isinstance(tree, dict):
        return {key: without_nulls(value) for key, value in tree.items() if value is not None}
    return [without_nulls(each) for each in tree] if isinstance(tree, list) else tree


def test_docker_py_sends_nothing_unknown() -> None:
    config = {name: None for name in inspect.signature(ContainerConfig.__init__).parameters if name != "self"}
    known = ContainerConfig(**config | {"version": "1.41", "image": "a", "command": "ls", "runtime": "runc"})
    known["HostConfig"] = HostConfig(
        version="1.41",
        binds={"/a": {"bind": "/b", "mode": "ro"}},
        port_bindings={80: 8080},
        privileged=True,
        cap_add=["ALL"],
        devices=["/dev/null"],
        device_cgroup_rules=["c 1:3 rwm"],
        log_config={"Type": "syslog"},
        mem_limit="1g",
        restart_policy={"Name": "always"},
        ulimits=[],
        security_opt=["seccomp=unconfined"],
        sysctls={"a": "b"},
        extra_hosts={"a": "1.2.3.4"},
        tmpfs={"/t": ""},
        pids_limit=5,
        init=True,
        shm_size="1m",
        volumes_from=["x"],
        network_mode="bridge",
        cgroupns="host",
    )
    known["NetworkingConfig"] = {
        "EndpointsConfig": {"n": EndpointConfig(version="1.41", aliases=["x"], links={"a": "b"})}
    }
    document = read_document("ContainerCreate", json.dumps(known).encode())
    assert document.unknown == ()
    assert "Runtime" in document.dangerous
