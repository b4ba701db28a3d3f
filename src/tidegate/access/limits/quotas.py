"""Quotas: what one client's containers may take together.

A container that could take any amount does not fit a quota: it must say how much memory and how many CPUs it wants.
``usage`` is what the client's other containers take already; counting it is the gate's.
"""

from collections.abc import Mapping, Sequence

from tidegate.access.asked import Asked, Usage
from tidegate.access.confinement.tree import Tree, documents, flag, mapping, number
from tidegate.access.roles import Quota

_CPU = 1_000_000_000
_DEFAULT_PERIOD_US = 100_000


def exceeded_quota(quota: Quota, asked: Asked, usage: Usage) -> str:
    """What does not fit, "" when all does."""
    if asked.operation_id == "ContainerCreate":
        host = host_config(asked.document.tree)
        return _first(
            _exceeds("containers", quota.containers, usage.containers + 1),
            _exceeds_resources(quota, host, usage, required=True),
            _exceeds_ports(quota, host, usage),
        )
    if asked.operation_id == "ContainerUpdate":
        return _exceeds_resources(quota, asked.document.tree, usage, required=False)
    return ""


def host_config(document: Tree) -> Tree:
    """``HostConfig``, or where a document has none the document itself: how engines up to 24 read it."""
    return mapping(document, "HostConfig") if document.get("HostConfig") is not None else document


def container_usage(host: Tree) -> Usage:
    """What one container with this host configuration takes, as far as it is bounded."""
    return Usage(1, number(host, "Memory"), nano_cpus(host), len(_published(host)))


def nano_cpus(host: Tree) -> int:
    """``NanoCpus``, or the same said by period and quota; 0 is no bound."""
    if number(host, "NanoCpus"):
        return number(host, "NanoCpus")
    quota_us = max(number(host, "CpuQuota"), 0)
    return quota_us * _CPU // (number(host, "CpuPeriod") or _DEFAULT_PERIOD_US)


def _published(host: Tree) -> Sequence[Mapping[str, object]]:
    bindings = mapping(host, "PortBindings")
    return [binding for port in bindings for binding in documents(bindings, port)]


def _exceeds_resources(quota: Quota, host: Tree, usage: Usage, *, required: bool) -> str:
    memory, cpus = number(host, "Memory"), nano_cpus(host)
    if quota.memory_bytes is not None and ((required and memory <= 0) or memory < 0):
        return "a container has to set HostConfig.Memory (docker run --memory)"
    if quota.nano_cpus is not None and required and cpus <= 0:
        return "a container has to set HostConfig.NanoCpus (docker run --cpus)"
    return _first(
        _exceeds("bytes of memory", quota.memory_bytes, usage.memory_bytes + memory),
        _exceeds("billionths of a CPU", quota.nano_cpus, usage.nano_cpus + cpus),
    )


def _exceeds_ports(quota: Quota, host: Tree, usage: Usage) -> str:
    if quota.published_ports is not None and flag(host, "PublishAllPorts"):
        return "HostConfig.PublishAllPorts publishes a number of ports nobody said (docker run -P); name them by -p"
    return _exceeds("published ports", quota.published_ports, usage.published_ports + len(_published(host)))


def _exceeds(what: str, most: int | None, wanted: int) -> str:
    return f"{wanted} {what} are more than the {most} allowed" if most is not None and wanted > most else ""


def _first(*reasons: str) -> str:
    return next((reason for reason in reasons if reason), "")
