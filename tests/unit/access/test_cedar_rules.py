"""Rules in Cedar: what they permit and forbid, and what is wrong with them."""

import pytest
from tests.unit.access.asking import ALICE, ask, create

from tidegate.access.asked import Asked, Subject
from tidegate.access.cedar.schema import schema
from tidegate.access.cedar.statements import cut
from tidegate.access.decision import decide
from tidegate.access.files import parse_policy, read_policy
from tidegate.access.policy import Policy, built_in_policy
from tidegate.access.principal import CertificatePrincipal
from tidegate.access.questions import operation_question
from tidegate.access.references import ObjectKind
from tidegate.access.rules import Answer
from tidegate.base.errors import InvalidParameterError


def rules(text: str) -> Policy:
    return parse_policy({"access.toml": '[roles.web]\nlike = "viewer"\n', "own.cedar": text})


def test_a_rule_permits_what_the_role_does_not_reach_and_its_document_stays_confined() -> None:
    policy = rules("""
        @id("web-may-create")
        permit(principal in Role::"web", action == Action::"ContainerCreate", resource)
        when { context.image like "acme/*" && context.memory_bytes > 0 };
        permit(principal in Role::"web", action == Action::"UseRegistry", resource)
        when { context.value == "docker.io" };
    """)
    verdict = ask("web", "ContainerCreate", create({"Memory": 1}, Image="acme/site"), policy=policy)
    assert verdict.allowed, verdict.reason
    assert verdict.rule == "web/web-may-create"
    assert not ask("web", "ContainerCreate", create({"Memory": 1}, Image="other/site"), policy=policy).allowed
    assert not ask("web", "ContainerCreate", create({}, Image="acme/site"), policy=policy).allowed
    assert not ask("viewer", "ContainerCreate", create({"Memory": 1}, Image="acme/site"), policy=policy).allowed
    privileged = create({"Memory": 1, "Privileged": True}, Image="acme/site")
    assert "HostConfig.Privileged" in ask("web", "ContainerCreate", privileged, policy=policy).reason


def test_a_rule_permits_one_demand() -> None:
    policy = rules("""
        permit(principal == Principal::"alice", action == Action::"BindHostPath", resource)
        when { context.value like "/srv/*" && context.read_only && context.operation == "ContainerCreate" };
    """)
    assert ask("developer", "ContainerCreate", create({"Binds": ["/srv/x:/x:ro"]}), policy=policy).allowed
    assert not ask("developer", "ContainerCreate", create({"Binds": ["/srv/x:/x"]}), policy=policy).allowed
    assert not ask("developer", "ContainerCreate", create({"Binds": ["/srv/../x:/x:ro"]}), policy=policy).allowed


def test_a_rule_forbids_what_the_role_reaches() -> None:
    policy = rules("""
        permit(principal, action in Action::"view", resource);
        forbid(principal, action == Action::"ContainerLogs", resource) when { context.object like "db*" };
        forbid(principal, action == Action::"UseRegistry", resource) unless { context.value == "quay.io" };
    """)
    verdict = ask("viewer", "ContainerLogs", object_id="db-1", policy=policy)
    assert not verdict.allowed
    assert verdict.rule == "viewer/rule/own.cedar:3"
    assert verdict.reason == "tidegate: rule own.cedar:3 forbids ContainerLogs to CN=alice"
    assert ask("viewer", "ContainerLogs", object_id="web", policy=policy).allowed
    assert not ask("developer", "ImageCreate", query={"fromImage": "alpine"}, policy=policy).allowed
    assert ask("developer", "ImageCreate", query={"fromImage": "quay.io/x/y"}, policy=policy).allowed
    assert ask("admin", "ContainerLogs", object_id="db-1", policy=policy).allowed


def test_rules_know_the_object_by_what_the_engine_calls_it() -> None:
    policy = rules("""
        forbid(principal, action in Action::"view", resource)
        when { context has object && (context.object like "db*" || context.object_labels.contains("secret=yes")) };
    """)
    assert policy.subject_kind("viewer", "ContainerLogs") is ObjectKind.CONTAINER
    assert policy.subject_kind("admin", "ContainerLogs") is None
    assert policy.subject_kind("viewer", "ContainerList") is None
    assert built_in_policy().subject_kind("viewer", "ContainerLogs") is None

    def allowed(subject: Subject | None) -> bool:
        return decide(policy, ALICE, "viewer", Asked("ContainerLogs", "c" * 64, subject=subject)).allowed

    assert allowed(None)
    assert allowed(Subject("c" * 64, "web", {"a": "b"}))
    assert not allowed(Subject("c" * 64, "db-1", {}))
    assert not allowed(Subject("c" * 64, "web", {"secret": "yes"}))


def test_rules_know_the_certificate() -> None:
    policy = rules("""
        permit(principal, action == Action::"ContainerExec", resource)
        when { principal.organizations.contains("Acme") && principal.uris.contains("spiffe://acme/alice") };
    """)
    assert ask("viewer", "ContainerExec", object_id="x", policy=policy).allowed
    assert policy.rules is not None
    question = operation_question(Asked("ContainerExec", "x"))
    assert policy.rules.ask(ALICE, "viewer", [question, question])[1].answer is Answer.PERMIT
    stranger = CertificatePrincipal("alice", ("Other",), (), (), "01")
    assert policy.rules.ask(stranger, "viewer", [question])[0].answer is Answer.SILENT


def test_a_rule_that_fails_forbids() -> None:
    policy = rules("""
        forbid(principal, action == Action::"ContainerCreate", resource)
        when { context.memory_bytes * 9223372036854775807 > 2 };
    """)
    verdict = ask("developer", "ContainerCreate", create({"Memory": 3}), policy=policy)
    assert not verdict.allowed
    assert "a rule failed" in verdict.reason


@pytest.mark.parametrize("name", ['al"ice', "a\nb", 'x" , Role::"admin', "\u0000", "ü\u202e"])
def test_strange_names_are_names(name: str) -> None:
    policy = rules('permit(principal in Role::"web", action == Action::"ContainerExec", resource);')
    assert policy.rules is not None
    who = CertificatePrincipal(name, (name,), (), (), "01")
    question = operation_question(Asked("ContainerExec", name))
    assert policy.rules.ask(who, "web", [question])[0].answer is Answer.PERMIT
    assert policy.rules.ask(who, name, [question])[0].answer is Answer.SILENT


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("// a\n\npermit(principal, action\nresource);", "own.cedar:4: unexpected token `resource`"),
        (
            'permit(principal,action,resource)\nwhen { context.object = "a" };',
            "own.cedar:1: '=' is not a valid operator",
        ),
        (
            '\npermit(principal, action == Action::"ContainerCreat", resource);',
            'own.cedar:2: unrecognized action `Action::"ContainerCreat"`; did you mean Action::"ContainerCreate"?',
        ),
        (
            'permit(principal, action == Action::"ContainerList", resource)\nwhen {\n  context.privileged };',
            "own.cedar:3: attribute `privileged` in context for",
        ),
        (
            'permit(principal in Role::"wb", action == Action::"view", resource);',
            "there is no role 'wb'; roles are admin",
        ),
        ('permit(principal in Rolle::"web", action == Action::"view", resource);', "unrecognized entity type `Rolle`"),
        ("permit(principal == ?principal, action, resource);", "a template is not a rule"),
        ("permit(principal, action, resource)", "own.cedar:1: "),
        ('permit(principal, action == Action::"ContainerList", resource) when { 1 };', "unexpected type"),
    ],
)
def test_an_error_has_its_line_and_its_mend(text: str, told: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        rules(text)
    assert told in caught.value.message
    assert "; " in caught.value.message


def test_a_permit_of_everything_is_warned_of() -> None:
    _, problems = read_policy({"own.cedar": 'permit(principal == Principal::"x", action, resource);'})
    assert "own.cedar:1: warning: this permits every operation and every demand" in str(problems[0])


def test_rules_of_several_files_keep_their_names() -> None:
    policy = parse_policy(
        {
            "a.cedar": 'permit(principal, action == Action::"ContainerStop", resource);',
            "b.cedar": '// stop\nforbid(principal, action == Action::"ContainerKill", resource);',
        }
    )
    assert ask("viewer", "ContainerStop", policy=policy).rule == "viewer/a.cedar:1"
    assert ask("operator", "ContainerKill", policy=policy).rule == "operator/rule/b.cedar:2"


def test_rules_are_cut_where_they_end() -> None:
    text = (
        '// x;\n@id("a;b")\npermit(principal, action, resource)\n'
        'when { "a\\";{" == "b" };\nforbid(principal, action, resource); // ;\n'
    )
    assert [(statement.line, statement.name) for statement in cut("f", text)] == [(2, "a;b"), (5, "f:5")]
    assert list(cut("f", "// nothing;\n")) == []


def test_the_schema_names_every_action_once() -> None:
    lines = [line.split('"')[1] for line in schema().splitlines() if line.startswith("action")]
    assert len(lines) == len(set(lines))
