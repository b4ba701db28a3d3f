"""What docs/migration.md tells to write is what works: its roles parse, and every operation in it exists."""

import re
from pathlib import Path

from tidegate.access.files.policy_files import parse_policy
from tidegate.spec.catalogue import GATE_OPERATIONS

GUIDE = (Path(__file__).parents[3] / "docs/migration.md").read_text()
_GROUPS = "System|Container|Image|Exec|Network|Volume|Service|Task|Node|Config|Secret|Plugin|Swarm|Build|Distribution"


def roles_of_the_guide() -> str:
    lines = GUIDE.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("    [roles."))
    end = next(number for number in range(begin, len(lines)) if lines[number] and not lines[number].startswith("    "))
    return "\n".join(line.removeprefix("    ") for line in lines[begin:end])


def test_its_roles_are_ones() -> None:
    assert {"traefik", "watchtower", "autoheal"} <= parse_policy({"access.toml": roles_of_the_guide()}).roles.keys()


def test_its_operations_exist() -> None:
    named = set(re.findall(rf"`((?:{_GROUPS})[A-Z][A-Za-z]+)`", GUIDE))
    assert len(named) > 40
    assert named <= {operation.operation_id for operation in GATE_OPERATIONS}
