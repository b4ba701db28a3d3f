"""The ``quota`` and ``rate`` of a role in the access file."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeGuard

from tidegate.access.roles import Quota, Rate

Tell = Callable[[Sequence[str], str, str], None]

_SIZE = re.compile(r"([0-9]+)([kmgt]?)b?", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_CPU = 1_000_000_000
_QUOTA_KEYS = frozenset({"containers", "memory", "cpus", "published_ports"})
_RATE_KEYS = frozenset({"per_second", "burst"})


def read_quota(table: object, base: Quota, tell: Tell) -> Quota:
    """``{ containers = 10, memory = "4g", cpus = 2.5, published_ports = 3 }``; what is not said is as in ``base``."""
    if table is None:
        return base
    if not _known_table(table, "quota", _QUOTA_KEYS, tell):
        return base
    cpus = _number(table, "quota", "cpus", tell)
    return Quota(
        containers=_whole(table, "containers", base.containers, tell),
        memory_bytes=_memory(table, base.memory_bytes, tell),
        nano_cpus=base.nano_cpus if cpus is None else int(cpus * _CPU),
        published_ports=_whole(table, "published_ports", base.published_ports, tell),
    )


def read_rate(table: object, base: Rate | None, tell: Tell) -> Rate | None:
    """``{ per_second = 20, burst = 100 }``."""
    if table is None:
        return base
    if not _known_table(table, "rate", _RATE_KEYS, tell):
        return base
    per_second = _number(table, "rate", "per_second", tell)
    burst = table.get("burst", max(int(per_second or 1), 1))
    if not per_second:
        tell(("rate", "per_second"), "a rate has to be more than 0", "write rate = { per_second = 20, burst = 100 }")
        return base
    if not isinstance(burst, int) or isinstance(burst, bool) or burst < 1:
        tell(("rate", "burst"), "burst is not a number from 1 on", "write rate = { per_second = 20, burst = 100 }")
        return base
    return Rate(per_second, burst)


def _known_table(table: object, name: str, keys: frozenset[str], tell: Tell) -> TypeGuard[Mapping[str, object]]:
    if not isinstance(table, dict):
        tell((name,), f"{name} is not a table", f"write {name} = {{ {sorted(keys)[0]} = ... }}")
        return False
    for key in sorted(table.keys() - keys):
        tell((name, key), f"unknown key {key!r} of a {name}", f"keys are {', '.join(sorted(keys))}")
    return True


def _whole(table: Mapping[str, object], key: str, base: int | None, tell: Tell) -> int | None:
    value = table.get(key)
    if value is None:
        return base
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        tell(("quota", key), f"{key} is not a number from 0 on", f"write {key} = 10")
        return base
    return value


def _number(table: Mapping[str, object], name: str, key: str, tell: Tell) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e6:
        tell((name, key), f"{key} is not a number from 0 on", f"write {key} = 2.5")
        return None
    return float(value)


def _memory(table: Mapping[str, object], base: int | None, tell: Tell) -> int | None:
    value = table.get("memory")
    if value is None:
        return base
    found = _SIZE.fullmatch(str(value)) if not isinstance(value, bool) else None
    if found is None:
        tell(("quota", "memory"), f"memory {value!r} is not a size", 'write memory = "512m" or "4g"')
        return base
    return int(found[1]) * _UNITS[found[2].lower()]
