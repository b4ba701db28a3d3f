"""Questions for the decision, written as the trees that the readers of ``spec`` give."""

from collections.abc import Mapping

from tidegate.access.asked import Asked, Facts, Usage
from tidegate.access.decision import NO_USAGE, decide
from tidegate.access.policy import Policy, built_in_policy
from tidegate.access.principal import CertificatePrincipal
from tidegate.access.verdict import Verdict

ALICE = CertificatePrincipal("alice", ("Acme",), ("build",), ("spiffe://acme/alice",), "0AFF")

Tree = Mapping[str, object]


def ask(
    role: str,
    operation_id: str,
    document: Tree | None = None,
    query: Tree | None = None,
    *,
    object_id: str = "",
    policy: Policy | None = None,
    usage: Usage = NO_USAGE,
) -> Verdict:
    """The verdict on a request of alice's."""
    asked = Asked(operation_id, object_id, Facts(tree=query or {}), Facts(tree=document or {}))
    return decide(policy or built_in_policy(), ALICE, role, asked, usage)


def create(host_config: Tree, **config: object) -> Tree:
    """The body of a create."""
    return {"Image": "alpine", **config, "HostConfig": host_config}
