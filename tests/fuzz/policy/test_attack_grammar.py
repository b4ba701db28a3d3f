"""No document of the attack grammar is allowed to any role but admin, however it is written.

An attack is an everyday document with one way out put into it: somewhere, amid innocent neighbours, with its keys in
any of the spellings that Go takes for them. What the grammar makes is written as bytes and read as the gate reads.
"""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.access.asking import ALICE

from tidegate.access.asked import read_asked
from tidegate.access.decision import decide
from tidegate.access.policy import built_in_policy
from tidegate.access.roles import BUILT_IN_ROLES
from tidegate.base.errors import InvalidParameterError

POLICY = built_in_policy()
CONFINED = sorted(set(BUILT_IN_ROLES) - {"admin"})
Json = dict[str, object]

ROOTS_HOME = "/root"
HOST_TREES = (
    "/",
    "/etc",
    f"{ROOTS_HOME}/.ssh",
    "/var/run/docker.sock",
    "/proc",
    "/sys",
    "/dev",
    "/home",
    "/var/lib/tidegate",
)
FOLDED = {"s": "sS\u017f", "k": "kK\u212a"}


@st.composite
def host_paths(draw: st.DrawFn) -> str:
    """A path of the host, written with detours that cleaning takes out."""
    parts = draw(st.sampled_from(HOST_TREES)).strip("/").split("/")
    detour = st.sampled_from(["", ".", "x/..", "etc/../", "srv/./.."])
    words = [word for part in parts for word in (draw(detour), part)]
    return "/" + draw(st.sampled_from(["", "/", "./", "../", "../../"])) + "/".join(words)


@st.composite
def mount_attacks(draw: st.DrawFn) -> Json:
    source = draw(host_paths())
    options = draw(st.sampled_from(["", ":ro", ":rw", ":z", ":ro,rslave", ":rshared"]))
    driver_options = draw(
        st.sampled_from(
            [
                {"type": "none", "o": "bind", "device": source},
                {"type": "none", "o": "rw,rbind", "device": source},
                {"device": source, "o": "bind", "type": "tmpfs"},
                {"type": "ext4", "device": "/dev/sda1"},
                {"type": "nfs", "o": "addr=203.0.113.1", "device": ":/"},
                {"type": "tmpfs", "device": "tmpfs", "o": "bind"},
            ]
        )
    )
    volume = {"Type": "volume", "Target": "/m", "VolumeOptions": {"DriverConfig": {"Options": driver_options}}}
    return draw(
        st.sampled_from(
            [
                {"Binds": ["data:/d", f"{source}:/m{options}"]},
                {"Mounts": [{"Type": "bind", "Source": source, "Target": "/m", "ReadOnly": options == ":ro"}]},
                {"Mounts": [{"Type": "tmpfs", "Target": "/t"}, volume]},
                {"VolumeDriver": "evil"},
            ]
        )
    )


CAPABILITIES = ("ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "DAC_READ_SEARCH", "BPF", "SYS_RAWIO", "NET_ADMIN")


@st.composite
def confinement_attacks(draw: st.DrawFn) -> Json:
    capability = draw(st.sampled_from(["", "CAP_", "cap_"])) + draw(st.sampled_from(CAPABILITIES))
    capability = draw(st.sampled_from([capability, capability.lower(), capability.upper()]))
    capability = capability if capability.upper() != "CAP_ALL" else "all"
    separator = draw(st.sampled_from(["=", ":"]))
    option = draw(
        st.sampled_from(
            [
                *("seccomp{}unconfined", "apparmor{}unconfined", "systempaths{}unconfined", "label{}disable"),
                *("no-new-privileges{}false", 'seccomp{}{{"defaultAction":"SCMP_ACT_ALLOW"}}'),
            ]
        )
    ).format(separator)
    return draw(
        st.sampled_from(
            [
                {"Privileged": True},
                {"CapAdd": ["CHOWN", capability]},
                {"CapAdd": capability},
                {"SecurityOpt": ["no-new-privileges", option]},
                {"MaskedPaths": []},
                {"ReadonlyPaths": []},
                {"Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/null", "CgroupPermissions": "r"}]},
                {"DeviceCgroupRules": ["a *:* rwm"]},
                {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]},
                *({mode: "host"} for mode in ("PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode")),
                {"NetworkMode": "host"},
                {"NetworkMode": "ns:/proc/1/ns/net"},
                {"Sysctls": {"kernel.core_pattern": "|/x"}},
                {"Runtime": "other"},
                {"CgroupParent": "/"},
                {"Annotations": {"run.oci.hooks": "x"}},
                {"LogConfig": {"Type": "syslog", "Config": {"syslog-address": "udp://203.0.113.1"}}},
                {"OomScoreAdj": -500},
                {"PortBindings": {"1/tcp": [{"HostPort": "22"}]}},
                {"FieldOfTomorrow": True},
            ]
        )
    )


EVERYDAY: dict[str, st.SearchStrategy[object]] = {
    "AutoRemove": st.booleans(),
    "Memory": st.integers(0, 1 << 30),
    "CapDrop": st.sampled_from([[], ["ALL"], None]),
    "RestartPolicy": st.sampled_from([{"Name": "no"}, {"Name": "always"}]),
    "Init": st.sampled_from([True, None]),
    "Tmpfs": st.sampled_from([{}, {"/run": "size=1m"}]),
    "ShmSize": st.integers(0, 1 << 26),
    "Privileged": st.just(False),
    "PidMode": st.just(""),
    "Binds": st.sampled_from([[], ["data:/data"], None]),
}


def everyday(without: Json) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {}, optional={name: values for name, values in EVERYDAY.items() if name not in without}
    )


@st.composite
def spelled(draw: st.DrawFn, tree: object) -> object:
    """The same document to Go, with other letters in some keys; values of maps keep theirs."""
    if isinstance(tree, list):
        return [draw(spelled(item)) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return {draw(_spelling(key)) if key[:1].isupper() else key: draw(spelled(value)) for key, value in tree.items()}


@st.composite
def _spelling(draw: st.DrawFn, key: str) -> str:
    if draw(st.booleans()):
        return key
    return "".join(draw(st.sampled_from(FOLDED.get(letter.lower(), letter.lower() + letter.upper()))) for letter in key)


@st.composite
def documents(draw: st.DrawFn, attacks: st.SearchStrategy[Json]) -> bytes:
    attack = draw(attacks)
    neighbours = draw(everyday(attack))
    place = draw(st.sampled_from(["inside", "on top", "on top, null inside"]))
    document: Json = {"Image": "alpine", "Cmd": ["sh"], "Labels": {"a": "b"}}
    if place == "inside":
        document["HostConfig"] = {**neighbours, **attack}
    else:
        document |= attack
        if place == "on top, null inside":
            document["HostConfig"] = None
    return json.dumps(draw(spelled(document)), ensure_ascii=draw(st.booleans())).encode()


def allowed(role: str, body: bytes) -> bool:
    try:
        asked = read_asked("POST", "/v1.41/containers/create", body)
    except InvalidParameterError:
        return False
    return decide(POLICY, ALICE, role, asked).allowed


@settings(max_examples=300, deadline=None)
@given(body=documents(st.one_of(mount_attacks(), confinement_attacks())))
def test_no_attack_is_allowed(body: bytes) -> None:
    assert [role for role in CONFINED if allowed(role, body)] == []


@settings(max_examples=100, deadline=None)
@given(body=documents(st.just({})))
def test_without_the_attack_the_document_is_allowed(body: bytes) -> None:
    assert allowed("developer", body)


@settings(max_examples=300, deadline=None)
@given(
    host=st.dictionaries(
        st.sampled_from(["Binds", "CapAdd", "SecurityOpt", "Mounts", "PidMode", "NetworkMode", "Devices", "Sysctls"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
            max_leaves=8,
        ),
    )
)
def test_the_decision_is_total(host: Json) -> None:
    body = json.dumps({"Image": "a", "HostConfig": host}).encode()
    for role in ("developer", "admin"):
        allowed(role, body)
