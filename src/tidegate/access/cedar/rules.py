"""The engine with parsed rules in it.

- A rule that fails while it is evaluated would be skipped by Cedar, and a skipped ``forbid`` permits: here it forbids.
- Rules are checked against the schema when they are read, so that only arithmetic beyond 64 bits can still fail.
- Principals are turned into entities once each; the engine keeps no state of requests.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from tidegate.access.cedar.checks import check_statement
from tidegate.access.cedar.schema import parsed_schema
from tidegate.access.cedar.statements import cut
from tidegate.access.files.problems import Problem, Problems
from tidegate.access.principal import CertificatePrincipal, Principal, UnixPrincipal, UnknownPrincipal, owner_of
from tidegate.access.rules import SILENCE, Answer, Question, Ruling

if TYPE_CHECKING:
    import cedarpy

_NOBODY = -1


class CedarRules:
    """Rules that were read without an error."""

    def __init__(self, policies: "cedarpy.PolicySet", names: Mapping[str, str]) -> None:
        self._policies = policies
        self._names = names

    def ask(self, principal: Principal, role_name: str, questions: Sequence[Question]) -> Sequence[Ruling]:
        """One ruling for each question; see ``access.rules``."""
        import cedarpy

        requests = [_request(owner_of(principal), question) for question in questions]
        results = cedarpy.is_authorized_batch(requests, self._policies, _entities(principal, role_name))
        return [self._ruling(result) for result in results]

    def _ruling(self, result: "cedarpy.AuthzResult") -> Ruling:
        if result.diagnostics.errors:
            return Ruling(Answer.FORBID, f"a rule failed: {result.diagnostics.errors[0]}")
        reasons = sorted(result.diagnostics.reasons, key=lambda name: int(name.removeprefix("policy")))
        if not reasons:
            return SILENCE
        return Ruling(Answer.PERMIT if result.allowed else Answer.FORBID, self._names[reasons[0]])


def _request(who: str, question: Question) -> dict[str, object]:
    return {
        "principal": {"type": "Principal", "id": who},
        "action": {"type": "Action", "id": question.action},
        "resource": {"type": "Thing", "id": question.thing},
        "context": dict(question.context),
    }


@lru_cache(maxsize=1024)
def _entities(principal: Principal, role_name: str) -> "cedarpy.Entities":
    import cedarpy

    role = {"type": "Role", "id": role_name}
    client = {
        "uid": {"type": "Principal", "id": owner_of(principal)},
        "attrs": _attributes(principal),
        "parents": [role],
    }
    entities = json.dumps([client, {"uid": role, "attrs": {}, "parents": []}])
    return cedarpy.Entities.from_json_str(entities, parsed_schema())


def _attributes(principal: Principal) -> Mapping[str, object]:
    certificate = principal if isinstance(principal, CertificatePrincipal) else None
    unix = principal if isinstance(principal, UnixPrincipal) else None
    return {
        "name": owner_of(principal),
        "organizations": certificate.organizations if certificate else (),
        "organizational_units": certificate.organizational_units if certificate else (),
        "uris": certificate.uris if certificate else (),
        "uid": unix.uid if unix else _NOBODY,
        "gid": unix.gid if unix else _NOBODY,
        "address": principal.address if isinstance(principal, UnknownPrincipal) else "",
    }


def read_rules(files: Mapping[str, str], roles: Collection[str], problems: Problems) -> CedarRules | None:
    """The rules of all ``files``; what is wrong with them goes to ``problems``."""
    try:
        import cedarpy
    except ImportError as error:
        name = next(iter(files))
        problems.add(Problem(name, 1, f"rules in Cedar need cedarpy: {error}", "install the package's dependencies"))
        return None
    statements = [statement for name, text in files.items() for statement in cut(name, text)]
    for statement in statements:
        check_statement(statement, roles, problems)
    if problems.errors:
        return None
    policies = cedarpy.PolicySet.from_str("\n".join(statement.text for statement in statements))
    # The engine numbers rules in the order in which it reads them.
    return CedarRules(policies, {f"policy{number}": statement.name for number, statement in enumerate(statements)})
