"""The questions that a request puts to the rules, and the facts that rules may look at.

Every fact is always there, with "" or 0 where the request does not say it, so that no rule fails for want of one.
``FACTS`` is the schema of it: the names and types that a rule is checked against when its file is read.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tidegate.access.asked import Asked, Subject
from tidegate.access.confinement.tree import Tree, mapping, number, text, texts
from tidegate.access.demands import Demand
from tidegate.access.limits.quotas import host_config, nano_cpus
from tidegate.access.objects.ownership import owner_in
from tidegate.access.rules import Question, Value

OPERATION_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "object": "String",
        "object_labels": "Set<String>",
        "object_owner": "String",
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
    subject = asked.subject or Subject(asked.object_id, asked.object_id, {})
    context: dict[str, Value] = {
        "object": subject.name,
        "object_labels": _pairs(subject.labels),
        "object_owner": owner_in(subject.labels),
        "name": _name(asked),
        "image": text(document, "Image") or text(query, "fromImage"),
        "user": text(document, "User"),
        "command": " ".join([*texts(document, "Entrypoint"), *texts(document, "Cmd")]),
        "environment": sorted({entry.partition("=")[0] for entry in texts(document, "Env")}),
        "labels": _pairs(mapping(document, "Labels")),
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


def _pairs(labels: Tree) -> Sequence[str]:
    return sorted(f"{name}={value}" for name, value in labels.items())


def _name(asked: Asked) -> str:
    """The name that the request gives; a build's is its first tag."""
    query = asked.query.tree
    if asked.operation_id == "ImageBuild":
        return next(iter(texts(query, "t")), "")
    return text(query, "name") or text(asked.document.tree, "Name")
