"""``docker update``: limits of a container and its restart policy, changed while it lives.

- What is zero or absent stays as it is; what cannot be changed is refused by name; what the host cannot limit is left
  out with a warning, as at create.
- The record is changed first, then the control groups. Where the kernel refuses, the record is put back: what inspect
  shows is what a later start gives.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import ConflictError, InvalidParameterError, TidegateError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.creation.limits import plan_limits
from tidegate.engine.creation.plan import parse_restart_policy
from tidegate.engine.creation.refusals import refuse_what_is_not_done
from tidegate.engine.ports import ProcessLimits, Runtime
from tidegate.kernel.host import CgroupAbilities
from tidegate.model.container import Container
from tidegate.model.phases import Phase
from tidegate.spec.codec import encode
from tidegate.spec.container import HostConfig, Resources, UpdateRequest
from tidegate.spec.stored import stored_request

LIVE = frozenset(
    {
        "blkio_weight", "cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus", "cpuset_mems", "memory",
        "memory_reservation", "memory_swap", "memory_swappiness", "nano_cpus", "oom_kill_disable", "pids_limit",
    }
)  # fmt: skip
"""Fields of ``Resources`` that control groups take at any time."""

_WITH_PROCESSES = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.STOPPING})
_GOING = frozenset({Phase.REMOVING, Phase.DEAD})
PlanResources = Callable[[HostConfig], ProcessLimits]


class Planned(NamedTuple):
    """The container with what is asked for, and what of it this host cannot limit."""

    container: Container
    warnings: Sequence[str]


class UpdateService(msgspec.Struct, frozen=True):
    """``able`` is what can be limited, ``plan`` the limits of a HostConfig as the runtime takes them."""

    containers: ContainerService
    runtime: Runtime
    able: CgroupAbilities
    plan: PlanResources

    async def update(self, name_or_id: str, request: UpdateRequest) -> Sequence[str]:
        """Returns warnings. Raises NotFoundError, ConflictError for a container on its way out or one whose restart
        policy is bound, InvalidParameterError for what cannot be changed or what the kernel refuses."""
        before = self.containers.resolve(name_or_id)
        if before.state.phase in _GOING:
            raise ConflictError(f"Cannot update container {before.id}: it is marked for removal")
        warnings = plan_update(before, request, self.able).warnings  # refused before anything is stored
        after = await self.containers.edit(before.id, lambda now: plan_update(now, request, self.able).container)
        if after.state.phase in _WITH_PROCESSES and changed_resources(request):
            try:
                await self.runtime.update(after.id, self.plan(stored_request(after.document).host_config))
            except TidegateError as error:
                await self.containers.edit(before.id, lambda current: _with_limits_of(current, before))
                raise type(error)(f"Cannot update container {before.id}: {error.message}") from error
        self.containers.publish(after.id, "update", {})
        return warnings


def changed_resources(request: UpdateRequest) -> Mapping[str, Any]:
    """The limits that are asked for. Raises InvalidParameterError for one that only a new container can have."""
    asked: dict[str, Any] = {}
    for field in msgspec.structs.fields(Resources):
        value = getattr(request, field.name)
        is_pointer = field.default is None
        if value is None or (not is_pointer and not value):
            continue
        if field.name not in LIVE:
            raise InvalidParameterError(f"{field.encode_name} cannot be updated: create the container anew with it")
        asked[field.name] = value
    if asked.get("pids_limit") == 0:
        asked["pids_limit"] = -1  # both mean no limit, and 0 would mean no change
    return asked


def plan_update(container: Container, request: UpdateRequest, able: CgroupAbilities) -> Planned:
    """Raises InvalidParameterError, NotSupportedError, ConflictError."""
    document = stored_request(container.document)
    possible = plan_limits(_merged(document.host_config, request), able)
    host = possible.host_config
    rules = container.state.rules
    if request.restart_policy.name:
        if rules.auto_remove:
            raise ConflictError("Restart policy cannot be updated because AutoRemove is enabled for the container")
        host = replace(host, restart_policy=request.restart_policy)
        rules = replace(rules, restart=parse_restart_policy(host))
    changed = replace(document, host_config=host)
    refuse_what_is_not_done(changed)
    state = replace(container.state, rules=rules)
    return Planned(replace(container, document=encode(changed), state=state), possible.warnings)


def _merged(host: HostConfig, request: UpdateRequest) -> HostConfig:
    asked = changed_resources(request)
    if 0 < host.memory_swap < asked.get("memory", 0) and "memory_swap" not in asked:
        raise InvalidParameterError(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    return replace(host, **asked)


def _with_limits_of(container: Container, before: Container) -> Container:
    """The container as it is, with the document and the restart policy that it had."""
    rules = replace(container.state.rules, restart=before.state.rules.restart)
    return replace(container, document=before.document, state=replace(container.state, rules=rules))
