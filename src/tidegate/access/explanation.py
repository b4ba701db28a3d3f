"""Why a request is allowed or refused, for a person: the same decision, told step by step."""

from collections.abc import Iterator

from tidegate.access.asked import Asked
from tidegate.access.confinement import claims_of
from tidegate.access.decision import decide
from tidegate.access.demands import Demand
from tidegate.access.grants import answering_pattern
from tidegate.access.policy import Policy
from tidegate.access.principal import Principal
from tidegate.access.questions import demand_question
from tidegate.access.references import ObjectReference
from tidegate.access.refusals import SETTINGS
from tidegate.access.roles import NO_QUOTA, Role
from tidegate.access.rules import Answer
from tidegate.access.verdict import Redaction, Verdict


def explain(policy: Policy, principal: Principal, role_name: str, asked: Asked) -> tuple[Verdict, Iterator[str]]:
    """The verdict, without regard to quotas in use, and the lines that tell of it."""
    verdict = decide(policy, principal, role_name, asked)
    return verdict, _lines(policy, principal, role_name, asked, verdict)


def _lines(policy: Policy, principal: Principal, role_name: str, asked: Asked, verdict: Verdict) -> Iterator[str]:
    subject = f" {asked.object_id}" if asked.object_id else ""
    yield f"{'allowed' if verdict.allowed else 'refused'}: {asked.operation_id}{subject} by {principal}"
    yield f"role: {role_name or 'none'}"
    yield f"rule: {verdict.rule}"
    if verdict.reason:
        yield f"reason: {verdict.reason}"
    role = policy.roles.get(role_name)
    if role is None or asked.operation_id not in role.operations:
        return
    if role.unconfined:
        yield "documents: not looked into"
        return
    yield from _demands(policy, principal, role, asked)
    if verdict.allowed:
        yield from _consequences(role, verdict)


def _demands(policy: Policy, principal: Principal, role: Role, asked: Asked) -> Iterator[str]:
    for field in (*asked.query.unknown, *asked.document.unknown):
        yield f"unknown field: {field}"
    for claim in claims_of(asked):
        if isinstance(claim, Demand):
            answer = _answer(policy, principal, role, asked, claim)
            yield f"demand: {claim.kind} {claim.pattern} ({claim.field}): {answer}"


def _answer(policy: Policy, principal: Principal, role: Role, asked: Asked, demand: Demand) -> str:
    if policy.rules is not None:
        ruling = policy.rules.ask(principal, role.name, [demand_question(asked, demand)])[0]
        if ruling.answer is not Answer.SILENT:
            return f"{'permitted' if ruling.answer is Answer.PERMIT else 'forbidden'} by rule {ruling.rule}"
    pattern = answering_pattern(role.grants, demand)
    if pattern is not None:
        return f"granted by {SETTINGS[demand.kind]} {pattern!r}"
    return "allowed if it is the client's own" if demand.unless_own else f"not granted ({SETTINGS[demand.kind]})"


def _consequences(role: Role, verdict: Verdict) -> Iterator[str]:
    for reference in verdict.must_own:
        yield f"has to be the client's own: {_describe(reference)}"
    if verdict.own_only:
        yield "shows, or takes, the client's own objects only"
    if verdict.sign:
        yield "what is created is labelled with its owner"
    if verdict.redact is not Redaction.NOBODYS:
        yield f"secrets are left out of answers: {verdict.redact.value}"
    if role.quota != NO_QUOTA:
        yield f"quota: {role.quota}"
    if role.rate is not None:
        yield f"rate: {role.rate.per_second:g} a second, {role.rate.burst} at once"


def _describe(reference: ObjectReference) -> str:
    absent = ", unless it does not exist yet" if reference.may_be_absent else ""
    return f"{reference.kind} {reference.name_or_id}{absent}"
