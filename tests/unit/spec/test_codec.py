"""Go's rules for JSON."""

import json

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import decode, decode_reporting, document, encode
from tidegate.spec.container import ContainerConfig, CreateRequest, HostConfig, Mount, NetworkingConfig, PortBinding
from tidegate.spec.volume import VolumeCreateRequest


def test_case_is_ignored_even_beyond_ascii() -> None:
    request = decode(CreateRequest, '{"hostCONFIG":{"privileged":true,"BINDſ":["/:/h"],"networKMode":"host"}}'.encode())
    assert request.host_config.privileged
    assert request.host_config.binds == ("/:/h",)
    assert request.host_config.network_mode == "host"
    assert not decode(HostConfig, '{"Prİvileged":true}'.encode()).privileged


def test_the_last_duplicate_wins_and_documents_merge() -> None:
    assert decode(HostConfig, b'{"Privileged":false,"privileged":true}').privileged
    merged = decode(CreateRequest, b'{"HostConfig":{"Privileged":true},"HostConfig":{"Memory":5}}').host_config
    assert merged.privileged and merged.memory == 5
    cleared = decode(CreateRequest, b'{"HostConfig":{"Privileged":true},"HostConfig":null}').host_config
    assert cleared == HostConfig()
    assert decode(HostConfig, b'{"Memory":5,"Memory":null}').memory == 5
    assert decode(HostConfig, b'{"PidsLimit":5,"PidsLimit":null}').pids_limit is None
    labels = decode(ContainerConfig, b'{"Labels":{"a":"1"},"labels":{"b":"2"}}').labels
    assert labels == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "text",
    [
        '{"Privileged":false,"privileged":true}',
        '{"Tmpfs":{"/a":"","/a":"x"}}',
        '{"Foo":1,"foo":1}',
        '{"Binds":[],"Bindſ":[]}',
    ],
)
def test_strict_refuses_duplicates(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="duplicate field"):
        decode(HostConfig, text.encode(), strict=True)


def test_null_is_the_zero_value() -> None:
    assert (
        decode(CreateRequest, b'{"HostConfig":null,"Env":null,"Labels":null,"Cmd":null,"Tty":null}') == CreateRequest()
    )
    assert decode(ContainerConfig, b'{"Entrypoint":[]}').entrypoint == ()
    assert decode(HostConfig, b'{"MaskedPaths":[],"ReadonlyPaths":null}').masked_paths == ()
    assert decode(HostConfig, b'{"PortBindings":{"80/tcp":null}}').port_bindings == {"80/tcp": ()}
    assert decode(NetworkingConfig, b'{"EndpointsConfig":{"n":null}}').endpoints_config == {"n": None}


def test_a_string_is_a_command() -> None:
    assert decode(ContainerConfig, b'{"Cmd":"ls","Entrypoint":["a","b"]}').cmd == ("ls",)
    assert decode(HostConfig, b'{"CapAdd":"ALL","CapDrop":"NET_RAW"}').cap_add == ("ALL",)


def test_arrays_have_their_length() -> None:
    assert decode(HostConfig, b'{"ConsoleSize":[5]}').console_size == (5, 0)
    assert decode(HostConfig, b'{"ConsoleSize":[5,6,"x",-1]}').console_size == (5, 6)


def test_a_field_of_any_type_keeps_what_it_is_given() -> None:
    found = decode(VolumeCreateRequest, b'{"ClusterVolumeSpec":{"a":[1,{"b":null}],"a":"\\ud800"}}')
    assert found.cluster_volume_spec == {"a": "\ufffd"}


def test_unknown_fields_are_reported() -> None:
    found = decode_reporting(CreateRequest, b'{"Image":"a","HostConfig":{"Foo":1,"Mounts":[{"Bar":{}}]},"Baz":[]}')
    assert found.value.image == "a"
    assert found.unknown == ("HostConfig.Foo", "HostConfig.Mounts[0].Bar", "Baz")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"HostConfig":{"Memory":"1"}}', "string into field HostConfig.Memory of type int64"),
        ('{"HostConfig":{"Memory":1.0}}', "number 1.0 into field HostConfig.Memory of type int64"),
        ('{"HostConfig":{"Memory":true}}', "bool into field HostConfig.Memory"),
        ('{"HostConfig":{"Memory":9223372036854775808}}', "HostConfig.Memory"),
        ('{"HostConfig":{"BlkioWeight":65536}}', "of type uint16"),
        ('{"HostConfig":{"ConsoleSize":[-1,1]}}', "of type uint32"),
        ('{"HostConfig":{"Privileged":1}}', "number 1 into field HostConfig.Privileged of type bool"),
        ('{"HostConfig":{"Binds":"a"}}', r"string into field HostConfig.Binds of type \[\]string"),
        ('{"HostConfig":{"Binds":{}}}', "object into field HostConfig.Binds"),
        ('{"Labels":[]}', r"array into field Labels of type map\[string\]string"),
        ('{"HostConfig":{"Mounts":[{"Type":3}]}}', r"HostConfig.Mounts\[0\].Type"),
        ("[]", "array into of type CreateRequest"),
        ("", "EOF"),
        ("{} x", "invalid JSON"),
        ('{"HostConfig":{"Memory":NaN}}', "invalid JSON"),
        ("\ufeff{}", "invalid JSON"),
        ('{"a":' + "9" * 5000 + "}", "invalid JSON"),
        ("[" * 200000, "max depth|invalid JSON"),
    ],
)
def test_errors_name_the_field(text: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        decode(CreateRequest, text.encode())


def test_bad_text_is_replaced() -> None:
    assert decode(ContainerConfig, b'{"Image":"a\xff\\ud800"}').image == "a\ufffd\ufffd"
    assert decode(ContainerConfig, b'{"Image":"\xe2\x82"}').image == "\ufffd\ufffd"


def test_encode_omits_zeroes_and_reads_back() -> None:
    assert encode(HostConfig()) == b"{}"
    request = CreateRequest(
        image="a",
        cmd=(),
        host_config=HostConfig(
            pids_limit=0,
            masked_paths=(),
            port_bindings={"80/tcp": (PortBinding(host_port="8080"),)},
            mounts=(Mount(type="bind", source="/a", target="/b"),),
        ),
    )
    assert decode(CreateRequest, encode(request), strict=True) == request
    assert json.loads(encode(request))["HostConfig"]["PidsLimit"] == 0


def test_a_shown_document_is_complete() -> None:
    shown = document(HostConfig())
    assert isinstance(shown, dict)
    assert shown["Privileged"] is False and shown["PidsLimit"] is None and shown["RestartPolicy"]["Name"] == ""
    assert "Mounts" not in shown and "Init" not in shown
