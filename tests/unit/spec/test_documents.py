"""What the gate reads in a body, and that it is what an engine reads in the canonical form of it."""

import json

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.catalogue import OPERATIONS
from tidegate.spec.documents import (
    Body,
    Risk,
    body_of,
    class_of_operation,
    content_type_of,
    read_document,
    refuse_encoding,
)


def create(text: str | bytes) -> object:
    return read_document("ContainerCreate", text.encode() if isinstance(text, str) else text).tree


def test_keys_come_out_as_the_tables_spell_them() -> None:
    assert create('{"hostCONFIG":{"privileged":true,"BINDſ":["/:/h"],"networKMode":"host"},"image":"a"}') == {
        "Image": "a",
        "HostConfig": {"Binds": ["/:/h"], "NetworkMode": "host", "Privileged": True},
    }


def test_keys_of_maps_keep_their_case() -> None:
    assert create('{"Labels":{"A":"1","a":"2"}}') == {"Labels": {"A": "1", "a": "2"}}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"HostConfig":{"Privileged":false,"privileged":true}}', "HostConfig.privileged"),
        ('{"HostConfig":{"Binds":null,"Bindſ":["/:/h"]}}', "HostConfig.Bindſ"),
        ('{"HostConfig":{},"hostconfig":{"Privileged":true}}', "hostconfig"),
        ('{"Labels":{"a":"1","a":"2"}}', "Labels.a"),
        ('{"Labels":{"\\ud800":"1","\ufffd":"2"}}', "Labels.\ufffd"),
        ('{"Foo":1,"foo":1}', "foo"),
        ('{"Foo":{"Bar":1,"bar":1}}', "Foo.bar"),
    ],
)
def test_a_key_given_twice_is_refused(text: str, field: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"duplicate field {field}: give it once"):
        create(text)


def test_null_is_absence_but_inside_lists_and_maps() -> None:
    assert create('{"HostConfig":null,"Env":[null],"Labels":{"a":null},"Cmd":null,"Foo":null}') == {
        "Env": [""],
        "Labels": {"a": ""},
    }
    assert create('{"HostConfig":{"Mounts":[null],"PortBindings":{"80/tcp":null}}}') == {
        "HostConfig": {"PortBindings": {"80/tcp": []}, "Mounts": [{}]}
    }
    assert create('{"NetworkingConfig":{"EndpointsConfig":{"n":null}}}') == {
        "NetworkingConfig": {"EndpointsConfig": {"n": None}}
    }
    assert create("null") == {}


def test_a_bare_string_is_a_list_of_one_where_moby_says_so() -> None:
    found = create('{"Cmd":"ls","Entrypoint":"","HostConfig":{"CapAdd":"ALL"}}')
    assert found == {"Cmd": ["ls"], "Entrypoint": [""], "HostConfig": {"CapAdd": ["ALL"]}}
    with pytest.raises(InvalidParameterError, match="string into field HostConfig.Binds"):
        create('{"HostConfig":{"Binds":"/:/h"}}')


def test_unknown_fields_are_kept_and_listed() -> None:
    found = read_document("ContainerCreate", b'{"x":[1,{"y":null}],"HostConfig":{"Mounts":[{"Bar":{}}],"Foo":1}}')
    assert found.unknown == ("HostConfig.Foo", "HostConfig.Mounts[].Bar", "x")
    assert found.encode() == b'{"HostConfig":{"Mounts":[{"Bar":{}}],"Foo":1},"x":[1,{"y":null}]}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"HostConfig":{"Memory":"1"}}', "string into field HostConfig.Memory of type int64"),
        ('{"HostConfig":{"Memory":1.0}}', "number 1.0 into field HostConfig.Memory of type int64"),
        ('{"HostConfig":{"Memory":9223372036854775808}}', "HostConfig.Memory"),
        ('{"HostConfig":{"Privileged":1}}', "number 1 into field HostConfig.Privileged of type bool"),
        ('{"HostConfig":{"Privileged":"true"}}', "string into field HostConfig.Privileged of type bool"),
        ('{"HostConfig":{"BlkioWeight":65536}}', "of type uint16"),
        ('{"HostConfig":{"ConsoleSize":[-1,1]}}', "of type uint64"),
        ('{"HostConfig":[]}', "array into field HostConfig"),
        ('{"Labels":[]}', r"array into field Labels of type map\[string\]string"),
        ('{"HostConfig":{"Mounts":[{"Type":3}]}}', r"HostConfig.Mounts\[\].Type"),
        ("[]", "array into of type ContainerCreate"),
        ("  ", "EOF"),
        ("{} x", "invalid JSON"),
        ("{}{}", "invalid JSON"),
        ("{}]", "invalid JSON"),
        ('{"HostConfig":{"Memory":NaN}}', "invalid JSON"),
        ("\ufeff{}", "invalid JSON"),
        ('{"a":' + "9" * 5000 + "}", "invalid JSON"),
        ('{"a":1e999}', "field a of type float64"),
        ('{"a":18446744073709551616}', None),
        ('{"a":' + "[" * 40 + "]" * 40 + "}", "max depth"),
        ("[" * 200000, "max depth|invalid JSON"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(text: str, words: str | None) -> None:
    if words is None:
        assert create(text) == {"a": 18446744073709551616.0}
        return
    with pytest.raises(InvalidParameterError, match=words):
        create(text)


def test_utf_16_and_large_documents_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="invalid JSON"):
        create('{"Image":"a"}'.encode("utf-16"))
    with pytest.raises(InvalidParameterError, match="more than 4194304 bytes"):
        create(b'{"Image":"a"' + b" " * (4 << 20) + b"}")


@pytest.mark.parametrize("item", [b"[]", b"{}", b'{"a":[{}]}', b"1"])
def test_a_document_of_many_values_is_refused_before_it_is_read(item: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="more than 50000 values"):
        create(b'{"x":[' + b",".join([item] * 50_001) + b"]}")


def test_a_large_document_is_utf_8() -> None:
    with pytest.raises(InvalidParameterError, match="not UTF-8: invalid start byte at byte 65547"):
        create(b'{"Image":"a' + b"a" * 65536 + b'\xff"}')


def test_bad_text_is_replaced() -> None:
    assert create(b'{"Image":"a\xe2\x82\\ud800"}') == {"Image": "a\ufffd\ufffd\ufffd"}


def test_what_is_present_and_its_class() -> None:
    found = read_document(
        "ContainerCreate",
        b'{"Image":"a","Tty":false,"HostConfig":{"Privileged":true,"Binds":[],"Mounts":[{"Type":"bind","ReadOnly":true}],'
        b'"MaskedPaths":[],"LogConfig":{"Type":""}}}',
    )
    assert {path: one.risk for path, one in found.fields.items()} == {
        "Image": Risk.CONFINED,
        "HostConfig.Mounts": Risk.CONFINED,
        "HostConfig.Mounts[].Type": Risk.CONFINED,
        "HostConfig.Mounts[].ReadOnly": Risk.HARMLESS,
        "HostConfig.Privileged": Risk.DANGEROUS,
        "HostConfig.MaskedPaths": Risk.DANGEROUS,
    }
    assert set(found.dangerous) == {"HostConfig.Privileged", "HostConfig.MaskedPaths"}
    assert set(found.confined) == {"Image", "HostConfig.Mounts", "HostConfig.Mounts[].Type"}


def test_host_config_at_the_top_of_the_document_is_dangerous() -> None:
    found = read_document("ContainerCreate", b'{"Image":"a","Binds":["/:/h"],"Privileged":true,"Memory":1}')
    assert found.unknown == ()
    assert set(found.dangerous) == {"Binds", "Privileged"}


def test_an_empty_document_counts_where_its_presence_does() -> None:
    assert read_document("VolumeCreate", b'{"ClusterVolumeSpec":{}}').dangerous == ("ClusterVolumeSpec",)
    assert read_document("ContainerCreate", b'{"HostConfig":{}}').fields == {}


def test_lists_are_documents_too() -> None:
    assert read_document("PluginPull", b'[{"name":"network","Value":["host"]}]').dangerous == ("[].Name", "[].Value")
    assert read_document("PluginSet", b'["DEBUG=1"]').dangerous == ("[]",)
    assert read_document("PluginSet", b"[]").encode() == b"[]"


def test_a_body_where_there_is_none_is_dropped() -> None:
    found = read_document("ContainerStart", b'{"Privileged":true}')
    assert found.tree is None and found.encode() == b""
    assert read_document("ContainerCreate", b"").encode() == b""


def test_bodies_are_documents_streams_or_nothing() -> None:
    streams = {op.operation_id for op in OPERATIONS if body_of(op.operation_id) is Body.STREAM}
    assert streams == {"ImageBuild", "ImageCreate", "ImageLoad", "PluginCreate", "PutContainerArchive"}
    assert body_of("ContainerCreate") is Body.DOCUMENT
    assert body_of("ContainerStart") is Body.NONE


@pytest.mark.parametrize(
    ("operation_id", "sent", "forwarded"),
    [
        ("ContainerCreate", "application/json", "application/json"),
        ("ContainerCreate", "Application/JSON; charset=utf-8", "application/json"),
        ("ImageLoad", "application/x-tar", "application/x-tar"),
        ("ImageLoad", None, None),
        ("ContainerStart", "text/plain", None),
    ],
)
def test_content_types(operation_id: str, sent: str | None, forwarded: str | None) -> None:
    assert content_type_of(operation_id, sent, has_body=True) == forwarded
    assert content_type_of(operation_id, sent, has_body=False) is None


@pytest.mark.parametrize(
    ("operation_id", "sent"),
    [
        ("ContainerCreate", None),
        ("ContainerCreate", "text/plain"),
        ("ImageCreate", "application/x-www-form-urlencoded"),
        ("ImageCreate", "multipart/form-data; boundary=x"),
        ("ContainerStart", "APPLICATION/x-www-form-urlencoded"),
    ],
)
def test_forms_and_other_types_are_refused(operation_id: str, sent: str | None) -> None:
    with pytest.raises(InvalidParameterError, match="unsupported Content-Type"):
        content_type_of(operation_id, sent, has_body=True)


def test_a_document_is_not_compressed() -> None:
    refuse_encoding("ImageBuild", "gzip")
    refuse_encoding("ContainerCreate", "Identity")
    with pytest.raises(InvalidParameterError, match=r"unsupported Content-Encoding header \(gzip\)"):
        refuse_encoding("ContainerCreate", "gzip")


def test_every_operation_has_a_class() -> None:
    assert all(class_of_operation(op.operation_id) for op in OPERATIONS)
    assert class_of_operation("PluginPull").risk is Risk.DANGEROUS


def test_canonical_form_is_read_back_as_itself() -> None:
    text = json.dumps({"Image": "a", "HostConfig": {"Binds": ["/a:/b"], "Mounts": [{}]}, "Zed": {"q": [None, 1.5]}})
    first = read_document("ContainerCreate", text.encode())
    second = read_document("ContainerCreate", first.encode())
    assert second == first
