"""Links: how they are written, what the environment says of them, and who they lead to now."""

from collections.abc import Sequence

import pytest

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.engine.links.requested import parse_link, parse_link_name, resolve_links, without_link
from tidegate.engine.links.table import LinkTable
from tidegate.engine.links.variables import link_variables
from tidegate.engine.ports import BridgeAttachment
from tidegate.model.container import Container, Link, Settings
from tidegate.model.phases import Phase, State
from tidegate.spec.codec import encode
from tidegate.spec.container import CreateRequest, Empty, HostConfig


def container(
    identity: str, name: str, settings: Settings | None = None, phase: Phase = Phase.RUNNING, **fields: object
) -> Container:
    document = encode(CreateRequest(**fields))  # type: ignore[arg-type]
    made = settings or Settings()
    return Container(identity, name, 0, "img", "sha256:1", document=document, settings=made, state=State(phase=phase))


DB = container("d" * 64, "db", hostname="box", env=("HOME=/", "A=1", "B"), exposed_ports={"5432/tcp": Empty()})


def find(name: str) -> Container:
    for each in (DB, container("e" * 64, "side", Settings(network=f"container:{DB.id}"))):
        if name in (each.id, each.name):
            return each
    if name == "open":
        return container("f" * 64, "open", Settings(network="host"))
    raise NotFoundError(f"No such container: {name}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db", ("db", "db")),
        ("db:alias", ("db", "alias")),
        ("/db:/web/alias", ("db", "alias")),
        ("/db", ("db", "db")),
    ],
)
def test_links_are_read_as_docker_does(text: str, expected: tuple[str, str]) -> None:
    assert parse_link(text) == expected


@pytest.mark.parametrize("text", ["", ":x", "a:b:c", "a:", "a:b/c", "a:b\nc"])
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="links"):
        parse_link(text)


def test_links_are_kept_by_id() -> None:
    host = HostConfig(links=("db:one", "db:one", "side:two"))
    assert resolve_links(host, find) == [Link(DB.id, "one"), Link(DB.id, "two")]


@pytest.mark.parametrize(
    ("links", "mode", "complaint"),
    [
        (("gone:x",), "", "could not get container for gone: No such container: gone"),
        (("open:x",), "", "host type networking can't be used with links"),
        (("db:x",), "host", "host type networking can't be used with links"),
        (("db:x",), "none", "none type networking can't be used with links"),
        (("db:x",), "container:db", "container type network can't be used with links"),
    ],
)
def test_what_cannot_be_linked(links: tuple[str, ...], mode: str, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        resolve_links(HostConfig(links=links, network_mode=mode), find)


def test_one_alias_for_two_containers_is_refused() -> None:
    other = container("a" * 64, "other")
    with pytest.raises(InvalidParameterError, match="conflicting links: x"):
        resolve_links(HostConfig(links=("db:x", "other:x")), lambda name: other if name == "other" else find(name))


def test_a_link_is_removed_by_its_holder_and_alias() -> None:
    assert parse_link_name("/web/alias") == ("web", "alias")
    with pytest.raises(ConflictError, match="default link name"):
        parse_link_name("web")
    web = container("1" * 64, "web", Settings(links=(Link(DB.id, "alias"), Link(DB.id, "second"))))
    assert without_link(web, "alias") == [Link(DB.id, "second")]
    with pytest.raises(NotFoundError, match="No such container: web/other"):
        without_link(web, "other")


def test_the_variables_of_a_link() -> None:
    told = link_variables(
        "web", "my-db", "172.17.0.2", ("HOME=/", "PATH=/bin", "A=1=2", "B"), {"53/udp": 1, "53/tcp": 1}
    )
    assert told[:1] == ["MY_DB_PORT=tcp://172.17.0.2:53"]
    assert told[-2:] == ["MY_DB_NAME=/web/my-db", "MY_DB_ENV_A=1=2"]
    assert "MY_DB_PORT_53_UDP=udp://172.17.0.2:53" in told
    assert [each for each in told if each.startswith("MY_DB_PORT_53_TCP")][-4:] == [
        "MY_DB_PORT_53_TCP=tcp://172.17.0.2:53",
        "MY_DB_PORT_53_TCP_ADDR=172.17.0.2",
        "MY_DB_PORT_53_TCP_PORT=53",
        "MY_DB_PORT_53_TCP_PROTO=tcp",
    ]


def test_ports_in_a_row_are_told_as_a_range() -> None:
    told = link_variables("web", "db", "10.0.0.2", (), ["7000/tcp", "7001", "7002/tcp", "9000"])
    assert told[:7] == [
        "DB_PORT=tcp://10.0.0.2:7000",
        "DB_PORT_7000_TCP_START=tcp://10.0.0.2:7000",
        "DB_PORT_7000_TCP_ADDR=10.0.0.2",
        "DB_PORT_7000_TCP_PROTO=tcp",
        "DB_PORT_7000_TCP_PORT_START=7000",
        "DB_PORT_7000_TCP_END=tcp://10.0.0.2:7002",
        "DB_PORT_7000_TCP_PORT_END=7002",
    ]
    assert not any("9000_TCP_START" in each for each in told)
    assert link_variables("web", "db", "10.0.0.2", (), ()) == ["DB_NAME=/web/db"]


def table(containers: Sequence[Container], addresses: dict[str, str]) -> LinkTable:
    def by_id(identity: str) -> Container:
        for each in containers:
            if each.id == identity:
                return each
        raise NotFoundError(f"No such container: {identity}")

    def attachment(identity: str) -> BridgeAttachment | None:
        address = addresses.get(identity)
        return BridgeAttachment(identity, address, 16, "172.17.0.1", "02::", ()) if address else None

    return LinkTable(by_id, lambda: containers, attachment)


def test_the_table_follows_names_and_addresses() -> None:
    web = container("1" * 64, "web", Settings(links=(Link(DB.id, "store"), Link("9" * 64, "gone"))))
    links = table([web, DB], {DB.id: "172.17.0.2"})
    assert links.shown(web) == ["/db:/web/store"]
    assert links.names()[DB.id] == ["/web/store"]
    (linked,) = links.linked(web)
    assert (linked.address, linked.names) == ("172.17.0.2", ["store", "box", "db"])
    assert "STORE_ENV_A=1" in linked.variables
    assert list(links.holders(DB.id)) == [(web, "store")]


def test_a_start_waits_for_the_other_end() -> None:
    web = container("1" * 64, "web", Settings(links=(Link(DB.id, "db"),)))
    stopped = container(DB.id, "db", phase=Phase.EXITED)
    with pytest.raises(ConflictError, match="Cannot link to a non running container: /db AS /web/db"):
        table([web, stopped], {}).linked(web)
    assert list(table([web, stopped], {}).running(web)) == []
    with pytest.raises(ConflictError, match="as it does not belong to the default network"):
        table([web, DB], {}).linked(web)
