"""The catalogue is the specification's, and a path names one operation or none."""

from pathlib import Path

import pytest
import yaml

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.spec.catalogue import OPERATIONS, match, operation

SPECIFICATION = Path(__file__).parents[4] / "shared" / "data" / "engine-api-v1.56.yaml"


@pytest.mark.skipif(not SPECIFICATION.exists(), reason="the specification is not beside this repository")
def test_the_catalogue_is_the_specification() -> None:
    paths = yaml.safe_load(SPECIFICATION.read_text())["paths"]
    theirs = {
        (one["operationId"], method.upper(), path, one["tags"][0])
        for path, methods in paths.items()
        for method, one in methods.items()
    }
    assert {(op.operation_id, op.method, op.template, op.group) for op in OPERATIONS} == theirs
    switching = {
        one["operationId"]
        for methods in paths.values()
        for one in methods.values()
        if 101 in map(int, one["responses"])
    }
    assert switching <= {op.operation_id for op in OPERATIONS if op.hijack}


def test_sizes() -> None:
    assert len(OPERATIONS) == len({op.operation_id for op in OPERATIONS}) == 108
    assert operation("ExecStart").hijack


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.operation_id)
def test_every_template_matches_itself(op: object) -> None:
    assert op in OPERATIONS
    for one in OPERATIONS:
        if one is op:
            head, _, rest = one.template.partition("{")
            parameter, _, tail = rest.partition("}")
            path = f"{head}a-1{tail}" if parameter else one.template
            found = match(one.method, "/v1.44" + path)
            assert found == ("1.44", one, {parameter: "a-1"} if parameter else {})


@pytest.mark.parametrize(
    ("method", "path", "operation_id", "name"),
    [
        ("POST", "/images/docker.io/library/a/push", "ImagePush", "docker.io/library/a"),
        ("GET", "/images/docker.io%2Flibrary%2Fa%3Alatest/json", "ImageInspect", "docker.io/library/a:latest"),
        ("GET", "/images/json/json", "ImageInspect", "json"),
        ("DELETE", "/images/a/b/json", "ImageDelete", "a/b/json"),
        ("DELETE", "/images/sha256:abc", "ImageDelete", "sha256:abc"),
        ("GET", "/distribution/a/b/json", "DistributionInspect", "a/b"),
        ("GET", "/images/%252e%252e/json", "ImageInspect", "%2e%2e"),
    ],
)
def test_names_with_slashes(method: str, path: str, operation_id: str, name: str) -> None:
    found = match(method, path)
    assert (found.version, found.operation.operation_id, found.parameters["name"]) == (None, operation_id, name)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//containers/json",
        "/containers//json",
        "/containers/json/",
        "/containers/./json",
        "/containers/%2e%2e/json",
        "/images/a%2F..%2Fb/json",
        "/images/a%2F%2Fb/json",
        "/containers/a%00/json",
        "/containers/a%0a/json",
        "/containers/%zz/json",
        "/containers/%f/json",
        "/containers/%ff/json",
        "/containers/json?x",
        "http://h/containers/json",
        "*",
    ],
)
def test_refused_paths(path: str) -> None:
    with pytest.raises(InvalidParameterError):
        match("GET", path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/containers"),
        ("GET", "/v1.44"),
        ("GET", "/v1.44/v1.44/_ping"),
        ("get", "/_ping"),
        ("HEAD", "/containers/json"),
        ("GET", "/containers/a%2Fb/json"),
        ("GET", "/Containers/json"),
        ("POST", "/containers/json"),
        ("GET", "/images/history"),
    ],
)
def test_unknown_paths(method: str, path: str) -> None:
    with pytest.raises(NotFoundError, match="page not found"):
        match(method, path)


def test_a_link_has_a_name_with_one_slash() -> None:
    found = match("DELETE", "/v1.44/containers/web/alias")
    assert (found.operation.operation_id, found.parameters["id"]) == ("ContainerDelete", "web/alias")
    assert match("DELETE", "/containers/web%2Falias").parameters["id"] == "web/alias"
    for method, path in [("DELETE", "/containers/a/b/c"), ("POST", "/containers/web/alias/stop")]:
        with pytest.raises(NotFoundError):
            match(method, path)
