"""The tables are made from the specification, hold what it omits, and leave no field without a class."""

import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.spec.catalogue import GATE_OPERATIONS
from tidegate.spec.codec import fold
from tidegate.spec.requests import classification, tables
from tidegate.spec.requests.operation_risks import OPERATION_RISKS
from tidegate.spec.requests.query_risks import QUERY_RISKS
from tidegate.spec.requests.risks import Risk, classes
from tidegate.spec.requests.types import Listed, Nullable, Scalar, Words, go_name, parse_type

ROOT = Path(__file__).parents[3]
SPECIFICATION = ROOT.parent / "shared" / "data" / "engine-api-v1.56.yaml"


@pytest.mark.skipif(not SPECIFICATION.exists(), reason="the specification is not beside this repository")
def test_the_tables_are_what_the_tool_makes() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "tools/request_tables", "--check", SPECIFICATION], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("name", sorted(tables.document_names()))
def test_every_field_has_a_class_and_every_class_a_field(name: str) -> None:
    document = tables.document(name)
    own = {field.name for field in document.fields.values() if field.owner == name}
    assert set(classification.classes_by_document().get(name, {})) == own
    assert all(classification.class_of_field(field) for field in document.fields.values())


def test_every_parameter_has_a_class_and_every_class_a_parameter() -> None:
    assert {name: set(table) for name, table in QUERY_RISKS.items()} == {
        name: set(tables.parameters(name)) for name in tables.query_operations()
    }


def test_every_operation_has_a_class() -> None:
    assert set(OPERATION_RISKS) == {op.operation_id for op in GATE_OPERATIONS}


def test_what_is_not_harmless_says_why() -> None:
    every = [
        one
        for table in (*classification.classes_by_document().values(), *QUERY_RISKS.values(), OPERATION_RISKS)
        for one in table.values()
    ]
    assert all(bool(one.reason) == (one.risk is not Risk.HARMLESS) and "\n" not in one.reason for one in every)


def test_a_name_has_one_class() -> None:
    with pytest.raises(ValueError, match="two classes"):
        classes("A", dangerous={"A B": "why"})


@pytest.mark.parametrize("name", sorted(tables.document_names()))
def test_no_document_has_two_fields_of_one_folding(name: str) -> None:
    """Also across the documents whose fields it has: Go would drop both."""
    own = tables._tables().documents[name]
    names = [fold(field) for field in own if field != "&"]
    for other in own.get("&", ()):
        names += tables.document(other).fields
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("operation_id", "paths"),
    [
        ("ContainerCreate", "Image MacAddress HostConfig.KernelMemoryTCP HostConfig.Capabilities Binds ArgsEscaped"),
        ("ContainerCreate", "HostConfig.Mounts[].ClusterOptions NetworkingConfig.EndpointsConfig{}.NetworkID"),
        ("ContainerExec", "Container Detach Privileged"),
        ("ContainerUpdate", "RestartPolicy.Name CgroupParent KernelMemory"),
        ("NetworkCreate", "CheckDuplicate IPAM.Config[].AuxiliaryAddresses ConfigFrom.Network"),
        ("SystemAuth", "email identitytoken"),
        ("VolumeCreate", "ClusterVolumeSpec.AccessMode.MountVolume.MountFlags ClusterVolumeSpec.Secrets[].Key"),
        ("ServiceCreate", "TaskTemplate.PluginSpec.Privileges[].Name TaskTemplate.ContainerSpec.Mounts[].Source"),
    ],
)  # fmt: skip
def test_fields_of_older_versions_and_of_real_clients(operation_id: str, paths: str) -> None:
    assert set(paths.split()) <= set(classification.every_path(operation_id))


def test_the_notation() -> None:
    assert parse_type("[string]") == Listed(Scalar("string"))
    assert parse_type("[2 uint64]") == Listed(Scalar("uint64"), 2)
    assert parse_type("words") == Words()
    assert parse_type("?string") == Nullable(Scalar("string"))
    assert go_name(parse_type("{[PortBinding]}")) == "map[string][]PortBinding"
    with pytest.raises(ValueError, match="no type"):
        parse_type("int")
