"""What the documents show of access files and rules can be used as it stands there."""

import re
from collections.abc import Iterator
from pathlib import Path

from tidegate.access.cedar.schema import actions
from tidegate.access.files import parse_policy
from tidegate.access.questions import DEMAND_FACTS, OPERATION_FACTS
from tidegate.access.refusals import SETTINGS
from tidegate.spec.catalogue import OPERATIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(name: str) -> Iterator[str]:
    """The indented blocks of a page."""
    for block in re.findall(r"(?:^(?:    .*|)\n)+", (DOCS / name).read_text(), re.MULTILINE):
        yield re.sub(r"^    ", "", block, flags=re.MULTILINE)


def test_access_files_and_rules_in_the_documents_can_be_used() -> None:
    for name in ("policy.md", "migration.md"):
        found = [block for block in blocks(name) if "[roles." in block]
        assert found, name
        for text in found:
            rules = [block for block in blocks(name) if "permit(" in block]
            parse_policy({"access.toml": text, **{f"{number}.cedar": rule for number, rule in enumerate(rules)}})


def test_the_migration_table_names_operations() -> None:
    known = {operation.operation_id for operation in OPERATIONS}
    text = (DOCS / "migration.md").read_text()
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", text))
    assert named and named <= known


def test_the_policy_page_names_every_setting_action_and_fact() -> None:
    text = (DOCS / "policy.md").read_text()
    for name in {*SETTINGS.values(), *OPERATION_FACTS, *DEMAND_FACTS, *(each for each in actions() if "Use" in each)}:
        assert f"`{name}`" in text, name
