"""The files of DATA_ROOT/access: what they say, and what is wrong with them, line by line."""

import pytest
from tests.unit.access.asking import ALICE, ask, create

from tidegate.access.demands import DemandKind
from tidegate.access.files import parse_policy, read_policy
from tidegate.access.policy import Policy
from tidegate.access.principal import UnixPrincipal
from tidegate.access.roles import BUILT_IN_ROLES, Quota, Rate, Scope
from tidegate.access.verdict import Redaction
from tidegate.base.errors import InvalidParameterError

WHOLE = """
default_role = "viewer"

[[bindings]]
role = "frontend"
organization = "Acme"
common_name = "al*"

[[bindings]]   # the deploy user
role = "ci"
uid = 1000

[roles.frontend]
like = "developer"
scope = "own"
redact = "everybody"
operations = ["@like", "SwarmInspect", "-ImagePush"]
registries = ["@like", "registry.acme.example:5000"]
bind_sources = ["/srv/www:ro", "/srv/trees/*", "/srv/data"]
capabilities = ["CAP_NET_BROADCAST"]
networks = ["shared-*"]
ports = ["127.0.0.1:80-90"]

[roles.frontend.quota]
containers = 10
memory = "4g"
cpus = 2.5

[roles.frontend.rate]
per_second = 20
burst = 100

[roles.small]
like = "frontend"
quota = { containers = 1 }
"""


def access(text: str) -> Policy:
    return parse_policy({"access.toml": text})


def test_no_files_are_the_built_in_policy() -> None:
    policy = parse_policy({})
    assert policy.roles == BUILT_IN_ROLES
    assert policy.role_of(ALICE) == ""
    assert parse_policy({}, "viewer").role_of(ALICE) == "viewer"


def test_a_file_says_roles_and_who_has_them() -> None:
    policy = access(WHOLE)
    assert policy.role_of(ALICE) == "frontend"
    assert policy.role_of(UnixPrincipal(1000, 5, 1)) == "ci"
    assert policy.role_of(UnixPrincipal(1001, 5, 1)) == "viewer"
    role = policy.roles["frontend"]
    assert role.scope is Scope.OWN
    assert role.redact is Redaction.EVERYBODYS
    assert role.operations == (BUILT_IN_ROLES["developer"].operations | {"SwarmInspect"}) - {"ImagePush"}
    assert role.grants[DemandKind.REGISTRY][-1] == "registry.acme.example:5000"
    assert "docker.io" in role.grants[DemandKind.REGISTRY]
    assert role.grants[DemandKind.BIND] == ("/srv/www:ro", "/srv/trees/*", "/srv/data")
    assert role.quota == Quota(10, 4 << 30, 2_500_000_000, None)
    assert role.rate == Rate(20.0, 100)
    assert not role.unconfined
    small = policy.roles["small"]
    assert small.quota == Quota(1, 4 << 30, 2_500_000_000, None)
    assert small.grants == role.grants


def test_the_files_own_default_comes_before_the_flag() -> None:
    assert parse_policy({"access.toml": 'default_role = "viewer"'}, "ci").default_role == "viewer"


def test_a_built_in_role_can_be_changed() -> None:
    policy = access('[roles.developer]\nregistries = ["only.example"]')
    assert not ask("developer", "ImageCreate", query={"fromImage": "alpine"}, policy=policy).allowed
    assert ask("developer", "ImageCreate", query={"fromImage": "only.example/x"}, policy=policy).allowed


@pytest.mark.parametrize(
    ("bind", "allowed"),
    [
        ("/srv/www:/w:ro", True),
        ("/srv/www:/w", False),
        ("/srv/www/sub:/w:ro", False),
        ("/srv/trees/a/b:/w:ro", True),
        ("/srv/trees/a:/w", False),
        ("/srv/trees:/w:ro", False),
        ("/srv/trees/../data2:/w:ro", False),
        ("/srv/data:/w", True),
        ("/srv//data/:/w", True),
        ("/srv/data/sub:/w", False),
        ("/srv/database:/w", False),
    ],
)
def test_what_a_bind_source_grants(bind: str, allowed: bool) -> None:
    host = {"Binds": [bind], "Memory": 1, "NanoCpus": 1}
    assert ask("frontend", "ContainerCreate", create(host), policy=access(WHOLE)).allowed is allowed


def test_other_grants() -> None:
    def allowed(host: dict[str, object]) -> bool:
        limits = {"Memory": 1, "NanoCpus": 1}
        return ask("frontend", "ContainerCreate", create(host | limits), policy=access(WHOLE)).allowed

    assert allowed({"CapAdd": ["net_broadcast"]})
    assert not allowed({"CapAdd": ["NET_ADMIN"]})
    verdict = ask(
        "frontend",
        "ContainerCreate",
        create({"NetworkMode": "shared-db", "Memory": 1, "NanoCpus": 1}),
        policy=access(WHOLE),
    )
    assert verdict.must_own == ()
    assert allowed({"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]}})
    assert not allowed({"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}})
    assert not allowed({"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "89-91"}]}})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("default_role = ", "access.toml:1: Invalid value; see https://toml.io"),
        ('a = "\n', "access.toml:1: "),
        ("[roles.x\n", "access.toml:1: "),
        ('default_role = "wizard"', "access.toml:1: there is no role 'wizard'; roles are admin, ci, developer"),
        ("\ndefault_rol = 1", "access.toml:2: unknown key 'default_rol'; keys are bindings, default_role, roles"),
        ("default_role = 1", "access.toml:1: a role is named by a text"),
        ("bindings = 1", "access.toml:1: bindings is not a list"),
        ("bindings = [1]", "access.toml:1: a binding is not a table"),
        ("\n[[bindings]]\nuid = 1\n", "access.toml:2: a binding without a role"),
        ('[[bindings]]\nrole = "ci"', "access.toml:1: a binding that says nothing fits nobody"),
        ('[[bindings]]\nrole = "ci"\nuid = 1\nuri = "x"', "access.toml:1: a binding for a certificate and for a unix"),
        ('[[bindings]]\nrole = "ci"\nuid = -1', "access.toml:3: uid is not a number"),
        ('[[bindings]]\nrole = "ci"\nuid = true', "access.toml:3: uid is not a number"),
        ('[[bindings]]\nrole = "ci"\ncommon_name = ""', "access.toml:3: common_name is not a text"),
        ('[[bindings]]\nrole = "ci"\ncn = "x"', "access.toml:3: unknown key 'cn' of a binding"),
        ('[[bindings]]\nrole="ci"\nuid=1\n[[bindings]]\nrole="no"\nuid=2', "access.toml:5: there is no role 'no'"),
        ("roles = 1", "access.toml:1: roles is not a table"),
        ("[roles]\nx = 1", "access.toml:2: role x is not a table"),
        ("[roles.x]", "access.toml:1: role x does not say what it is like"),
        ('[roles.X]\nlike = "ci"', "access.toml:1: 'X' is no name for a role"),
        ('[roles.x]\nlike = "y"', "access.toml:2: there is no role 'y' to be like"),
        ('[roles.x]\nlike = "admin"', "access.toml:2: admin cannot be changed"),
        ("[roles.admin]\n", "access.toml:1: admin cannot be changed"),
        ('[roles.x]\nlike = "y"\n[roles.y]\nlike = "x"', "access.toml:2: role x is like itself"),
        ('[roles.x]\nlike = "ci"\nunconfined = true', "access.toml:3: unknown key 'unconfined' of a role"),
        ('[roles.x]\nlike = "ci"\nscope = "some"', "access.toml:3: scope 'some' is not known; choose one of all"),
        ('[roles.x]\nlike = "ci"\nredact = 1', "access.toml:3: redact 1 is not known"),
        ('[roles.x]\nlike = "ci"\noperations = ["ContainerKil"]', "did you mean ContainerKill?"),
        ('[roles.x]\nlike = "ci"\noperations = "x"', "access.toml:3: operations is not a list of texts"),
        ('[roles.x]\nlike = "ci"\nquota = { cpus = "x" }', "access.toml:3: cpus is not a number"),
        (
            '[roles.x]\nlike = "ci"\n[roles.x.quota]\nmemory = "4 apples"',
            "access.toml:4: memory '4 apples' is not a size",
        ),
        ('[roles.x]\nlike = "ci"\nquota = { x = 1 }', "unknown key 'x' of a quota"),
        ('[roles.x]\nlike = "ci"\nquota = 1', "access.toml:3: quota is not a table"),
        ('[roles.x]\nlike = "ci"\nrate = { burst = 1 }', "a rate has to be more than 0"),
        ('[roles.x]\nlike = "ci"\nrate = { per_second = 1, burst = 0 }', "burst is not a number from 1 on"),
        ('[roles.x]\nlike = "ci"\nbind_sources = ["/"]', "access.toml:3: '/': this path is the host; use role admin"),
        ('[roles.x]\nlike = "ci"\nbind_sources = ["/var"]', "this path is the host"),
        ('[roles.x]\nlike = "ci"\nbind_sources = ["/*"]', "this path is the host"),
        ('[roles.x]\nlike = "ci"\nbind_sources = ["/etc/*"]', "this path is the host"),
        ('[roles.x]\nlike = "ci"\nbind_sources = ["/etc/cron.d"]', "write /etc/cron.d:ro"),
        ('[roles.x]\nlike = "ci"\nbind_sources = ["/srv/../etc"]', "a bind source is a clean absolute path"),
        ('[roles.x]\nlike = "ci"\nbind_sources = ["/srv/*/x"]', "a bind source is a clean absolute path"),
        ('[roles.x]\nlike = "ci"\nbind_sources = ["srv"]', "a bind source is a clean absolute path"),
        ('[roles.x]\nlike = "ci"\nbind_sources = ["/srv/docker.sock:ro"]', "an engine's socket is root"),
        ('[roles.x]\nlike = "ci"\nports = ["80"]', 'write "*:8080"'),
        ('[roles.x]\nlike = "ci"\nports = ["*:90-80"]', "a port is address:port"),
        ('[roles.x]\nlike = "ci"\nsubnets = ["10.0.0.1/8"]', "has host bits set"),
        ('[roles.x]\nlike = "ci"\nregistries = ["https://x"]', "a registry is a host"),
        ('[roles.x]\nlike = "ci"\ncapabilities = ["net_admin"]', "a capability is CAP_"),
        ('[roles.x]\nlike = "ci"\ndevices = ["*"]', "a device is a path below /dev"),
        ('[roles.x]\nlike = "ci"\nfields = ["*"]', "a field is OPERATION.FIELD=VALUE"),
    ],
)
def test_an_error_has_its_line_and_its_mend(text: str, told: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        access(text)
    assert told in caught.value.message
    assert "; " in caught.value.message


def test_every_error_is_told_at_once() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        access('default_role = "no"\n[roles.x]\nlike = "ci"\nscope = "some"\n')
    assert caught.value.message.splitlines() == [
        "access.toml:4: scope 'some' is not known; choose one of all, see-all, own",
        "access.toml:1: there is no role 'no'; roles are admin, ci, developer, operator, viewer, x",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('capabilities = ["CAP_SYS_ADMIN"]', "access.toml:3: warning: 'CAP_SYS_ADMIN': this is a way to root"),
        ('namespaces = ["net=host"]', "warning: 'net=host': this is a way to root"),
        ('volume_drivers = ["local:*"]', "warning: 'local:*': this is a way to root"),
        ('devices = ["/dev/fuse"]', "warning: '/dev/fuse': a device of the host may be"),
        ('scope = "all"', "warning: scope all lets a client use ContainerArchive on everybody's containers"),
        ('operations = ["PluginEnable"]', "warning: PluginEnable reaches the host or the cluster"),
    ],
)
def test_what_gives_away_much_is_warned_of(text: str, told: str) -> None:
    policy, problems = read_policy({"access.toml": f'[roles.x]\nlike = "ci"\n{text}'})
    assert told in str(problems[0])
    assert "x" in policy.roles


def test_a_file_that_is_not_read_is_an_error() -> None:
    with pytest.raises(InvalidParameterError, match=r"acess\.toml:1: this file is not read; call it access\.toml"):
        parse_policy({"acess.toml": ""})


def test_a_default_role_of_the_command_line_has_to_exist() -> None:
    with pytest.raises(InvalidParameterError, match="--default-role"):
        parse_policy({}, "wizard")
