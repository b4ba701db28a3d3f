"""Who may do what, before any document is looked into."""

import pytest

from tidegate.access.asked import Asked, Facts
from tidegate.access.decision import decide
from tidegate.access.policy import Binding, Policy, built_in_policy
from tidegate.access.principal import CertificatePrincipal, UnixPrincipal, UnknownPrincipal, owner_of
from tidegate.access.reach import CI, DEVELOP, OPERATE, VIEW
from tidegate.access.roles import BUILT_IN_ROLES
from tidegate.access.verdict import ObjectKind, ObjectReference, Redaction, Signing, Verdict
from tidegate.spec.catalogue import OPERATIONS

ALICE = CertificatePrincipal("alice", ("Acme",), ("build",), ("spiffe://acme/alice",), "0AFF")
ROOT = UnixPrincipal(0, 0, 1)
EVERYTHING = frozenset(operation.operation_id for operation in OPERATIONS)


def ask(role: str, operation_id: str, object_id: str = "") -> Verdict:
    return decide(built_in_policy(), ALICE, role, Asked(operation_id, object_id))


@pytest.mark.parametrize("reach", [VIEW, OPERATE, DEVELOP, CI])
def test_the_tables_name_operations_of_the_catalogue(reach: frozenset[str]) -> None:
    assert reach <= EVERYTHING


def test_without_a_role_everything_is_refused_and_the_mend_is_told() -> None:
    verdict = ask("", "SystemPing")
    assert not verdict.allowed
    assert verdict.rule == "no-role"
    assert "CN=alice has no role" in verdict.reason
    assert "tidegate client role" in verdict.reason


def test_a_role_that_does_not_exist_is_refused_by_name() -> None:
    assert ask("wizard", "SystemPing").reason == "tidegate: role wizard of CN=alice does not exist"


@pytest.mark.parametrize(
    ("role", "operation_id", "allowed"),
    [
        ("viewer", "ContainerList", True),
        ("viewer", "ContainerLogs", True),
        ("viewer", "ContainerExport", False),
        ("viewer", "ContainerArchive", False),
        ("viewer", "ContainerStart", False),
        ("viewer", "SwarmInspect", False),
        ("viewer", "SwarmUnlockkey", False),
        ("operator", "ContainerRestart", True),
        ("operator", "ContainerExec", False),
        ("operator", "ContainerAttach", False),
        ("operator", "ContainerCreate", False),
        ("developer", "ContainerCreate", True),
        ("developer", "ImageBuild", True),
        ("developer", "Session", True),
        ("developer", "ServiceCreate", False),
        ("developer", "PluginPull", False),
        ("developer", "PluginDisable", False),
        ("ci", "ContainerCreate", True),
        ("ci", "BuildPrune", False),
        ("admin", "SwarmInit", True),
        ("admin", "NoSuchOperation", False),
    ],
)
def test_what_the_built_in_roles_reach(role: str, operation_id: str, allowed: bool) -> None:
    assert ask(role, operation_id, "x").allowed is allowed


def test_a_refusal_names_the_roles_that_may() -> None:
    assert ask("viewer", "ContainerExec").reason == (
        "tidegate: role viewer of CN=alice may not ContainerExec; role developer or ci or admin may"
    )


@pytest.mark.parametrize("role", sorted(set(BUILT_IN_ROLES) - {"admin"}))
def test_a_field_nobody_knows_is_refused_for_all_but_admin(role: str) -> None:
    asked = Asked("ContainerList", query=Facts(unknown=("pretty",)))
    verdict = decide(built_in_policy(), ALICE, role, asked)
    assert not verdict.allowed
    assert "pretty" in verdict.reason
    assert decide(built_in_policy(), ALICE, "admin", asked).allowed


@pytest.mark.parametrize("facts", [Facts(confined=("HostConfig.New",)), Facts(dangerous=("HostConfig.New",))])
def test_a_field_no_rule_looked_at_is_refused(facts: Facts) -> None:
    verdict = decide(built_in_policy(), ALICE, "developer", Asked("ContainerCreate", document=facts))
    assert verdict.rule == "developer/SetField"
    assert "HostConfig.New" in verdict.reason


def test_a_developer_touches_only_its_own_and_sees_all() -> None:
    assert ask("developer", "ContainerExec", "web").must_own == (ObjectReference(ObjectKind.CONTAINER, "web"),)
    assert ask("developer", "ContainerInspect", "web").must_own == ()
    assert ask("developer", "ContainerInspect", "web").redact is Redaction.FOREIGN
    assert not ask("developer", "ContainerList").own_only
    assert ask("developer", "ContainerPrune").own_only


def test_ci_sees_only_its_own() -> None:
    assert ask("ci", "ContainerInspect", "web").must_own == (ObjectReference(ObjectKind.CONTAINER, "web"),)
    assert ask("ci", "ExecInspect", "e1").must_own == (ObjectReference(ObjectKind.EXEC, "e1"),)
    assert ask("ci", "ContainerList").own_only
    assert ask("ci", "SystemEvents").own_only


def test_what_is_created_is_signed_with_its_owner() -> None:
    assert ask("developer", "ContainerCreate").sign is Signing.ALL
    assert ask("developer", "ContainerExec", "web").sign is Signing.NOTHING


def test_an_administrators_container_is_signed_because_its_image_may_carry_a_label_and_nothing_else_is() -> None:
    assert ask("admin", "ContainerCreate").sign is Signing.CONTAINER
    assert ask("admin", "VolumeCreate").sign is Signing.NOTHING


def test_an_operator_has_to_do_with_everybodys_and_sees_no_secrets() -> None:
    verdict = ask("operator", "ContainerStop", "web")
    assert verdict.must_own == ()
    assert verdict.redact is Redaction.EVERYBODYS


@pytest.mark.parametrize(
    ("binding", "principal", "fits"),
    [
        (Binding("ci", common_name="alice"), ALICE, True),
        (Binding("ci", common_name="al*"), ALICE, True),
        (Binding("ci", common_name="al?ce"), ALICE, False),
        (Binding("ci", common_name="ALICE"), ALICE, False),
        (Binding("ci", organization="Acme", organizational_unit="build"), ALICE, True),
        (Binding("ci", organization="Acme", organizational_unit="sales"), ALICE, False),
        (Binding("ci", uri="spiffe://acme/*"), ALICE, True),
        (Binding("ci", common_name="*"), CertificatePrincipal("", (), (), (), "01"), False),
        (Binding("ci", uid=0), ROOT, True),
        (Binding("ci", gid=0), ROOT, True),
        (Binding("ci", uid=0, gid=1), ROOT, False),
        (Binding("ci", uid=0), ALICE, False),
        (Binding("ci", common_name="*"), ROOT, False),
        (Binding("ci", common_name="*", uid=0), ALICE, False),
        (Binding("ci"), ALICE, False),
        (Binding("ci"), ROOT, False),
        (Binding("ci", common_name="*"), UnknownPrincipal("10.0.0.1"), False),
    ],
)
def test_a_binding_fits_when_all_it_says_fits(
    binding: Binding, principal: CertificatePrincipal | UnixPrincipal | UnknownPrincipal, fits: bool
) -> None:
    assert binding.fits(principal) is fits


def test_the_record_comes_before_bindings_and_they_before_the_default() -> None:
    policy = Policy(BUILT_IN_ROLES, (Binding("ci", common_name="al*"),), "viewer")
    assert policy.role_of(ALICE, "operator") == "operator"
    assert policy.role_of(ALICE) == "ci"
    assert policy.role_of(ROOT) == "viewer"
    assert built_in_policy().role_of(ALICE) == ""


def test_usage_is_wanted_where_there_is_a_quota() -> None:
    policy = built_in_policy()
    assert policy.needs_usage("ci", "ContainerCreate")
    assert not policy.needs_usage("ci", "ContainerList")
    assert not policy.needs_usage("developer", "ContainerCreate")
    assert not policy.needs_usage("wizard", "ContainerCreate")


@pytest.mark.parametrize(
    ("principal", "owner"),
    [
        (ALICE, "alice"),
        (ROOT, "uid:0"),
        (CertificatePrincipal("uid:0", (), (), (), "01"), "cn:uid:0"),
        (CertificatePrincipal("admin:bob", (), (), (), "01"), "cn:admin:bob"),
        (CertificatePrincipal("", (), (), ("spiffe://a",), "01"), "spiffe://a"),
        (CertificatePrincipal("", (), (), (), "01"), "serial:01"),
        (UnknownPrincipal("[::1]:2375"), "address:[::1]"),
    ],
)
def test_the_owner_of_what_a_principal_creates(
    principal: CertificatePrincipal | UnixPrincipal | UnknownPrincipal, owner: str
) -> None:
    assert owner_of(principal) == owner
