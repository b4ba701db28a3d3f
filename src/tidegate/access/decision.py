"""The decision on one request: pure, and total. What nothing allows is refused.

The order is the order of the questions: does the client have a role, does the role reach the operation, is everything
in the request known, is every demand granted.
"""

from collections.abc import Sequence

from tidegate.access.asked import Asked, Usage
from tidegate.access.confinement import demands_of
from tidegate.access.demands import Demand, DemandKind
from tidegate.access.grants import granted
from tidegate.access.policy import Policy
from tidegate.access.principal import Principal
from tidegate.access.reach import CREATES, LISTS, PRUNES, looked_at_kind, touched_kind
from tidegate.access.roles import BUILT_IN_ROLES, Role, Scope
from tidegate.access.verdict import ObjectReference, Verdict

NO_USAGE = Usage()


def decide(policy: Policy, principal: Principal, role_name: str, asked: Asked, usage: Usage = NO_USAGE) -> Verdict:
    """``role_name`` is what ``Policy.role_of`` gave; ``usage`` counts where ``Policy.needs_usage`` says so."""
    role = policy.roles.get(role_name)
    if role is None:
        return _without_role(principal, role_name)
    if asked.operation_id not in role.operations:
        return _refuse(role, "operation", _out_of_reach(principal, role, asked.operation_id))
    if role.unconfined:
        return Verdict(True, f"{role.name}/everything", role=role.name, sign=asked.operation_id in CREATES)
    return _unknown_field(role, asked) or _ungranted(role, asked) or _allow(role, asked)


def _without_role(principal: Principal, role_name: str) -> Verdict:
    if role_name:
        return Verdict(False, "no-such-role", f"tidegate: role {role_name} of {principal} does not exist", role_name)
    mend = "`tidegate client role NAME ROLE`, a binding in the access file, or --default-role"
    return Verdict(False, "no-role", f"tidegate: {principal} has no role; an administrator gives one by {mend}")


def _refuse(role: Role, rule: str, reason: str) -> Verdict:
    return Verdict(False, f"{role.name}/{rule}", f"tidegate: {reason}", role.name)


def _out_of_reach(principal: Principal, role: Role, operation_id: str) -> str:
    able = [name for name, other in BUILT_IN_ROLES.items() if operation_id in other.operations]
    roles = f"role {' or '.join(able)} may" if able else "it is no operation of the Docker Engine API"
    return f"role {role.name} of {principal} may not {operation_id}; {roles}"


def _unknown_field(role: Role, asked: Asked) -> Verdict | None:
    unknown = [*asked.query.unknown, *asked.document.unknown]
    if not unknown:
        return None
    reason = f"field {unknown[0]} of {asked.operation_id} is not in the API's specification; leave it out"
    return _refuse(role, "unknown-field", reason)


def _ungranted(role: Role, asked: Asked) -> Verdict | None:
    for demand in demands_of(asked):
        if not granted(role.grants, demand):
            return _refuse(role, demand.kind, _how_to_mend(role, demand))
    return None


def _how_to_mend(role: Role, demand: Demand) -> str:
    if demand.kind is DemandKind.FIELD:
        return f"role {role.name} may not set {demand.field}; leave it out, or ask for a role with a grant of it"
    return f"role {role.name} may not ask for {demand.field} {demand.value!r}; leave it out, or ask for a grant of it"


def _allow(role: Role, asked: Asked) -> Verdict:
    return Verdict(
        True,
        f"{role.name}/operation",
        role=role.name,
        own_only=_own_only(role, asked.operation_id),
        redact=role.redact,
        sign=asked.operation_id in CREATES,
        must_own=tuple(_path_object(role, asked)),
    )


def _own_only(role: Role, operation_id: str) -> bool:
    if role.scope is Scope.OWN:
        return operation_id in LISTS | PRUNES
    return role.scope is Scope.SEE_ALL_TOUCH_OWN and operation_id in PRUNES


def _path_object(role: Role, asked: Asked) -> Sequence[ObjectReference]:
    kind = touched_kind(asked.operation_id) if role.scope is not Scope.ALL else None
    if kind is None and role.scope is Scope.OWN:
        kind = looked_at_kind(asked.operation_id)
    return [ObjectReference(kind, asked.object_id)] if kind else []
