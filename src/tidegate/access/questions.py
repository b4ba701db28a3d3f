"""The questions that a request puts to the rules, and the facts that rules may look at.

Every fact is always there, with "" or 0 where the request does not say it, so that no rule fails for want of one.
``FACTS`` is the schema of it: the names and types that a rule is checked against when its file is read.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tidegate.access.asked import Asked
from tidegate.access.confinement.tree import Tree, mapping, number, text, texts
from tidegate.access.demands import Demand
from tidegate.access.quotas import host_config, nano_cpus
from tidegate.access.rules import Question, Value

OPERATION_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "object": "String",
        "name": "String",
        "image": "String",
        "user": "String",
        "command": "String",
        "environment": "Set<String>",
        "labels": "Set<String>",
        "memory_bytes": "Long",
        "nano_cpus": "Long",
    }
)
DEMAND_FACTS: Mapping[str, str] = MappingProxyType(
    {"operation": "String", "field": "String", "value": "String", "read_only": "Bool"}
)


def operation_question(asked: Asked) -> Question:
    """May this operation be done, with this document?"""
    document, query = asked.document.tree, asked.query.tree
    host = host_config(document)
    context: dict[str, Value] = {
        "object": asked.object_id,
        "name": _text(query, "name") or _text(document, "Name") or _text(query, "t"),
        "image": _text(document, "Image") or _text(query, "fromImage"),
        "user": _text(document, "User"),
        "command": " ".join([*texts(document, "Entrypoint"), *texts(document, "Cmd")]),
        "environment": sorted({entry.partition("=")[0] for entry in texts(document, "Env")}),
        "labels": sorted(f"{name}={value}" for name, value in mapping(document, "Labels").items()),
        "memory_bytes": number(host, "Memory"),
        "nano_cpus": nano_cpus(host),
    }
    return Question(asked.operation_id, asked.object_id, context)


def demand_question(asked: Asked, demand: Demand) -> Question:
    """May the document ask for this?"""
    context: dict[str, Value] = {
        "operation": asked.operation_id,
        "field": demand.field,
        "value": demand.value,
        "read_only": demand.read_only,
    }
    return Question(demand.kind.value, demand.value, context)


def _text(tree: Tree, name: str) -> str:
    value = tree.get(name)
    if isinstance(value, list | tuple):
        return next((item for item in value if isinstance(item, str)), "")
    return text(tree, name)
