"""Whatever a client writes, where words are expected, ends in a verdict or in a 400: never in an error of ours.

Everyday documents and queries, in which any text is followed by what separates values for one engine or another.
"""

import json
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.access.asking import ALICE

from tidegate.access.asked import read_asked
from tidegate.access.decision import decide
from tidegate.access.policy import built_in_policy
from tidegate.access.roles import BUILT_IN_ROLES
from tidegate.base.errors import InvalidParameterError

POLICY = built_in_policy()
MOUNT = {"Type": "volume", "Source": "own", "Target": "/x", "Consistency": "cached", "VolumeOptions": {"Subpath": "a"}}
HOST = {
    "Binds": ["own:/x:ro"],
    "Mounts": [MOUNT, {"Type": "bind", "Source": "/etc/localtime", "Target": "/y", "ReadOnly": True}],
    "Tmpfs": {"/t": "size=1m"},
    "VolumesFrom": ["mine:ro"],
    "NetworkMode": "container:mine",
    "PidMode": "container:mine",
    "CapAdd": ["CHOWN"],
    "SecurityOpt": ["no-new-privileges:true"],
    "Sysctls": {"net.ipv4.ip_forward": "1"},
    "LogConfig": {"Type": "json-file", "Config": {"tag": "x"}},
    "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080-8090"}]},
    "Links": ["mine:alias"],
    "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
    "GroupAdd": ["1"],
}
ENDPOINT = {"Aliases": ["a"], "Links": ["mine:a"], "DriverOpts": {"com.docker.network.endpoint.ifname": "e"}}
CREATE = {
    "Image": "docker.io/library/alpine:3",
    "Env": ["A=b"],
    "Labels": {"a": "b"},
    "Volumes": {"/v": {}},
    "WorkingDir": "/w",
    "HostConfig": HOST,
    "NetworkingConfig": {"EndpointsConfig": {"bridge": ENDPOINT}},
}
IPAM = {
    "Driver": "default",
    "Config": [{"Subnet": "10.0.0.0/8", "Gateway": "10.0.0.1", "AuxiliaryAddresses": {"a": "10.0.0.2"}}],
}
DOCUMENTS: dict[str, dict[str, object]] = {
    "/containers/create": CREATE,
    "/containers/mine/exec": {"Cmd": ["true"], "WorkingDir": "/w", "Env": ["A=b"]},
    "/volumes/create": {
        "Name": "v",
        "Driver": "local",
        "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1"},
    },
    "/networks/create": {
        "Name": "n",
        "Driver": "bridge",
        "Options": {"com.docker.network.driver.mtu": "1400"},
        "IPAM": IPAM,
    },
    "/networks/bridge/connect": {"Container": "mine", "EndpointConfig": ENDPOINT},
    "/auth": {"username": "u", "serveraddress": "https://quay.io/v1/"},
}
QUERIES = {
    "/build": {"t": "a", "dockerfile": "d", "networkmode": "bridge", "labels": '{"a":"b"}', "cachefrom": '["a"]'},
    "/images/create": {"fromImage": "alpine", "tag": "3", "repo": "a", "changes": "LABEL a=b"},
    "/commit": {"container": "mine", "repo": "a", "changes": "ENV a=b"},
    "/images/alpine/tag": {"repo": "quay.io/a", "tag": "1"},
}
ENDS = (
    "",
    ",",
    ":",
    "=",
    '"',
    "\n",
    " ",
    "/",
    "\\",
    ";",
    "%",
    "@",
    "#",
    "[",
    "]",
    "..",
    "/..",
    "::",
    "*",
    "\0",
    "0",
    "-",
)
WORDS = (
    "",
    "host",
    "src=/",
    "container:victim",
    "5000",
    "tcp",
    "1.2.3.4",
    "fe80::1%eth0",
    "10.0.0.0/99",
    "/",
    "dev",
    "é",
)
suffixes = st.lists(st.tuples(st.sampled_from(ENDS), st.sampled_from(WORDS)), max_size=3).map(
    lambda pairs: "".join(end + word for end, word in pairs)
)


def texts_in(tree: object) -> int:
    if isinstance(tree, dict):
        return sum(1 + texts_in(value) for value in tree.values())
    return sum(map(texts_in, tree)) if isinstance(tree, list) else isinstance(tree, str)


def changed(tree: object, ends: dict[int, str], number: list[int]) -> object:
    """The tree with the text or key of each number in ``ends`` made longer."""

    def text(value: str) -> str:
        number[0] += 1
        return value + ends.get(number[0], "")

    if isinstance(tree, dict):
        return {text(key): changed(value, ends, number) for key, value in tree.items()}
    if isinstance(tree, list):
        return [changed(each, ends, number) for each in tree]
    return text(tree) if isinstance(tree, str) else tree


def judge(target: str, body: bytes) -> None:
    try:
        asked = read_asked("POST", target, body)
        for role in BUILT_IN_ROLES:
            assert decide(POLICY, ALICE, role, asked).facts is not None
    except InvalidParameterError:
        return


def test_what_is_written_here_is_everyday() -> None:
    for target, document in DOCUMENTS.items():
        asked = read_asked("POST", target, json.dumps(document).encode())
        assert decide(POLICY, ALICE, "developer", asked).allowed, target


@given(st.data())
@settings(max_examples=500, deadline=None)
def test_documents(data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(sorted(DOCUMENTS)))
    document = DOCUMENTS[target]
    ends = data.draw(st.dictionaries(st.integers(1, texts_in(document)), suffixes, max_size=3))
    judge(target, json.dumps(changed(document, ends, [0])).encode())


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_queries(data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(sorted(QUERIES)))
    query = QUERIES[target]
    ends = data.draw(st.dictionaries(st.sampled_from(sorted(query)), suffixes, max_size=2))
    words = [f"{name}={quote(value + ends.get(name, ''))}" for name, value in query.items()]
    judge(f"{target}?{'&'.join(words)}", b"")
