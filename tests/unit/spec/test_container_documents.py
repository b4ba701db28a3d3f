"""Every field of the specification has an attribute."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import fields

from tidegate.spec import container

SPECIFICATION = Path(__file__).parents[4] / "shared" / "data" / "engine-api-v1.56.yaml"
OLD_FIELDS = {"KernelMemory", "KernelMemoryTCP", "MacAddress", "ClusterOptions"}
NAMES = [
    "HostConfig",
    "ContainerConfig",
    "NetworkingConfig",
    "EndpointSettings",
    "EndpointIPAMConfig",
    "Mount",
    "RestartPolicy",
    "DeviceMapping",
    "DeviceRequest",
    "ThrottleDevice",
    "HealthConfig",
    "PortBinding",
    "Resources",
]


def properties(definitions: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    found = set(schema.get("properties") or ())
    for part in schema.get("allOf", []):
        found |= properties(definitions, definitions[part["$ref"].split("/")[-1]] if "$ref" in part else part)
    return found


@pytest.mark.skipif(not SPECIFICATION.exists(), reason="the specification is not beside this repository")
def test_documents_have_the_fields_of_the_specification() -> None:
    definitions = yaml.safe_load(SPECIFICATION.read_text())["definitions"]
    for name in NAMES:
        ours = {field.encode_name for field in fields(getattr(container, name))}
        theirs = properties(definitions, definitions[name])
        assert theirs - ours == set(), name
        assert ours - theirs <= OLD_FIELDS, name


def test_omitempty_names_exist() -> None:
    for thing in vars(container).values():
        if isinstance(thing, type) and issubclass(thing, container.Document):
            assert thing.omitempty <= {field.encode_name for field in fields(thing)}, thing


def test_zero_values() -> None:
    request = container.CreateRequest(image="alpine")
    assert request.host_config.restart_policy.name == ""
    assert request.host_config.pids_limit is None
    assert request.cmd is None
