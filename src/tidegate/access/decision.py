"""The decision on one request: pure, and total. What nothing allows is refused.

The order is the order of the questions: does the client have a role, does the role reach the operation, is everything
in the request known, is every claim answered by a grant or by ownership, is there room in the quota.
Rules of the administrator's own come before role and grants, both to permit and to forbid.
"""

from collections.abc import Sequence

import msgspec

from tidegate.access.asked import Asked, Usage
from tidegate.access.confinement import claims_of
from tidegate.access.confinement.images import registry_demand
from tidegate.access.demands import Demand
from tidegate.access.grants import granted
from tidegate.access.limits.quotas import exceeded_quota
from tidegate.access.policy import Policy
from tidegate.access.principal import Principal
from tidegate.access.questions import demand_question, operation_question
from tidegate.access.reach import CREATES, LISTS, PRUNES, looked_at_kind, touched_kind
from tidegate.access.references import ObjectReference
from tidegate.access.refusals import refusal
from tidegate.access.roles import BUILT_IN_ROLES, Role, Scope
from tidegate.access.rules import SILENCE, Answer, Ruling
from tidegate.access.verdict import Signing, Verdict

NO_USAGE = Usage()


def decide(policy: Policy, principal: Principal, role_name: str, asked: Asked, usage: Usage = NO_USAGE) -> Verdict:
    """``role_name`` is what ``Policy.role_of`` gave; ``usage`` counts where ``Policy.needs_usage`` says so."""
    role = policy.roles.get(role_name)
    if role is None:
        return _without_role(principal, role_name)
    reached = asked.operation_id in role.operations
    if reached and role.unconfined:
        return _allow_everything(role, asked)
    client = _Client(policy, principal, role)
    ruling = client.rule_on(asked)
    if ruling.answer is Answer.FORBID:
        return _refuse(role, f"rule/{ruling.rule}", f"rule {ruling.rule} forbids {asked.operation_id} to {principal}")
    if not reached and ruling.answer is not Answer.PERMIT:
        return _refuse(role, "operation", _out_of_reach(principal, role, asked.operation_id))
    return _unknown_field(role, asked) or _answer_claims(client, asked, usage, ruling.rule or "operation")


def allowed_registries(
    policy: Policy, principal: Principal, role_name: str, asked: Asked, hosts: Sequence[str]
) -> frozenset[str]:
    """Those of ``hosts`` that accounts may go to: a build has one for each registry that its client ever logged in to.

    Others are left out of a request that is allowed, and refuse nothing.
    """
    role = policy.roles[role_name]
    if role.unconfined:
        return frozenset(hosts)
    demands = [registry_demand(host) for host in hosts]
    rulings = _Client(policy, principal, role).rule_on_demands(asked, demands)
    return frozenset(
        demand.value
        for demand, ruling in zip(demands, rulings, strict=True)
        if ruling.answer is Answer.PERMIT or (ruling.answer is Answer.SILENT and granted(role.grants, demand))
    )


def _allow_everything(role: Role, asked: Asked) -> Verdict:
    demands = tuple(claim for claim in claims_of(asked) if isinstance(claim, Demand))
    # A container inherits the labels of its image, and anyone may have built that: its owner has to be written.
    sign = Signing.CONTAINER if asked.operation_id == "ContainerCreate" else Signing.NOTHING
    return Verdict(True, f"{role.name}/everything", role=role.name, sign=sign, demands=demands)


class _Client(msgspec.Struct, frozen=True):
    """Who asks, with the policy that answers."""

    policy: Policy
    principal: Principal
    role: Role

    def rule_on(self, asked: Asked) -> Ruling:
        if self.policy.rules is None:
            return SILENCE
        return self.policy.rules.ask(self.principal, self.role.name, [operation_question(asked)])[0]

    def rule_on_demands(self, asked: Asked, demands: Sequence[Demand]) -> Sequence[Ruling]:
        if self.policy.rules is None or not demands:
            return [SILENCE] * len(demands)
        questions = [demand_question(asked, demand) for demand in demands]
        return self.policy.rules.ask(self.principal, self.role.name, questions)


def _without_role(principal: Principal, role_name: str) -> Verdict:
    if role_name:
        return Verdict(False, "no-such-role", f"tidegate: role {role_name} of {principal} does not exist", role_name)
    mend = "`tidegate client role NAME ROLE`, a binding in the access file, or --default-role"
    return Verdict(False, "no-role", f"tidegate: {principal} has no role; an administrator gives one by {mend}")


def _refuse(role: Role, rule: str, reason: str, demands: tuple[Demand, ...] = ()) -> Verdict:
    return Verdict(False, f"{role.name}/{rule}", f"tidegate: {reason}", role.name, demands=demands)


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


def _answer_claims(client: _Client, asked: Asked, usage: Usage, rule: str) -> Verdict:
    role, claims = client.role, claims_of(asked)
    demands = tuple(claim for claim in claims if isinstance(claim, Demand))
    must_own = [*_path_object(role, asked), *(claim for claim in claims if isinstance(claim, ObjectReference))]
    for demand, ruling in zip(demands, client.rule_on_demands(asked, demands), strict=True):
        if ruling.answer is Answer.FORBID:
            reason = f"rule {ruling.rule} forbids {demand.field} {demand.value!r}"
            return _refuse(role, f"rule/{ruling.rule}", reason, demands)
        if ruling.answer is Answer.PERMIT or granted(role.grants, demand):
            continue
        if demand.unless_own is None:
            return _refuse(role, demand.kind, refusal(role.name, demand), demands)
        must_own.append(demand.unless_own)
    exceeded = exceeded_quota(role.quota, asked, usage)
    if exceeded:
        return _refuse(role, "quota", f"quota of role {role.name}: {exceeded}", demands)
    return Verdict(
        True,
        f"{role.name}/{rule}",
        role=role.name,
        own_only=_own_only(role, asked.operation_id),
        redact=role.redact,
        sign=Signing.ALL if asked.operation_id in CREATES else Signing.NOTHING,
        must_own=tuple(dict.fromkeys(must_own)) if role.scope is not Scope.ALL else (),
        demands=demands,
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
