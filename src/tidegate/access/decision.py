"""The decision on one request: pure, and total. What nothing allows is refused.

The order is the order of the questions: does the client have a role, does the role reach the operation, is everything
in the request known, is every claim answered by a grant or by ownership, is there room in the quota.
"""

from collections.abc import Sequence

from tidegate.access.asked import Asked, Usage
from tidegate.access.confinement import claims_of
from tidegate.access.grants import granted
from tidegate.access.policy import Policy
from tidegate.access.principal import Principal
from tidegate.access.quotas import exceeded_quota
from tidegate.access.reach import CREATES, LISTS, PRUNES, looked_at_kind, touched_kind
from tidegate.access.refusals import refusal
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
    return _unknown_field(role, asked) or _answer_claims(role, asked, usage)


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


def _answer_claims(role: Role, asked: Asked, usage: Usage) -> Verdict:
    must_own = list(_path_object(role, asked))
    for claim in claims_of(asked):
        if isinstance(claim, ObjectReference):
            must_own.append(claim)
        elif not granted(role.grants, claim):
            if claim.unless_own is None:
                return _refuse(role, claim.kind, refusal(role.name, claim))
            must_own.append(claim.unless_own)
    exceeded = exceeded_quota(role.quota, asked, usage)
    if exceeded:
        return _refuse(role, "quota", f"quota of role {role.name}: {exceeded}")
    return Verdict(
        True,
        f"{role.name}/operation",
        role=role.name,
        own_only=_own_only(role, asked.operation_id),
        redact=role.redact,
        sign=asked.operation_id in CREATES,
        must_own=tuple(dict.fromkeys(must_own)) if role.scope is not Scope.ALL else (),
    )


def _own_only(role: Role, operation_id: str) -> bool:
    if role.scope is Scope.OWN:
        return operation_id in LISTS | PRUNES
    return role.scope is Scope.SEE_ALL_TOUCH_OWN and operation_id in PRUNES


def _path_object(role: Role, asked: Asked) -> Sequence[ObjectReference]:
    kind = touched_kind(asked.operation_id)
    if kind is None and role.scope is Scope.OWN:
        kind = looked_at_kind(asked.operation_id)
    return [ObjectReference(kind, asked.object_id)] if kind else []
