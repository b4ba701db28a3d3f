"""Which requests to registries go through a proxy, and what it is asked."""

import socket
import ssl
import threading

import pytest

from tidegate.base.errors import UnavailableError
from tidegate.drivers.registry.proxies import Route, find_route, is_exempt, open_connection
from tidegate.drivers.registry.transport import RegistryConfig, RegistryTransport


@pytest.mark.parametrize(
    ("netloc", "no_proxy", "exempt"),
    [
        ("localhost:5000", "", True),
        ("127.0.0.1:5000", "", True),
        ("[::1]:5000", "", True),
        ("hub.example:443", "", False),
        ("hub.example:443", "other, hub.example", True),
        ("hub.example:443", "hub.example:443", True),
        ("hub.example:443", "hub.example:80", False),
        ("hub.example", ".example", True),
        ("hub.example", "*.example", True),
        ("hub.example", "example", True),
        ("hubexample", "example", False),
        ("10.1.2.3:5000", "10.0.0.0/8", True),
        ("11.1.2.3:5000", "10.0.0.0/8,nonsense/", False),
        ("anything", "*", True),
    ],
)
def test_hosts_without_a_proxy(netloc: str, no_proxy: str, exempt: bool) -> None:
    assert is_exempt(netloc, no_proxy) is exempt


def test_each_scheme_has_its_proxy() -> None:
    proxies = {"https": "http://us%40er:pa%3Ass@proxy", "http": "proxy.example:3128"}
    assert find_route("http", "hub.example", proxies) == Route("proxy.example:3128")
    found = find_route("https", "hub.example", proxies)
    assert found == Route("proxy:80", {"Proxy-Authorization": "Basic dXNAZXI6cGE6c3M="})
    assert find_route("http", "hub.example", {}) is None


@pytest.mark.parametrize("url", ["socks5://proxy", "https://proxy", "http://"])
def test_a_proxy_that_cannot_be_used_is_an_error(url: str) -> None:
    with pytest.raises(UnavailableError, match="the proxy for https is no http URL"):
        find_route("https", "hub.example", {"https": url})


def proxy_that_answers(answer: bytes) -> "tuple[str, list[bytes], threading.Thread]":
    """Its address, and what it was asked once the thread has ended."""
    listener, asked = socket.create_server(("127.0.0.1", 0)), []

    def serve() -> None:
        with listener, listener.accept()[0] as client:
            asked.append(client.recv(4096))
            client.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return f"127.0.0.1:{listener.getsockname()[1]}", asked, thread


def test_in_the_clear_the_proxy_is_asked_for_the_whole_url() -> None:
    address, asked, thread = proxy_that_answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    transport = RegistryTransport(RegistryConfig(timeout_s=5, proxies={"http": f"http://u:p@{address}"}))
    assert transport.follow("http://hub.example/v2/?n=1", {}, None).read() == b"hi"
    thread.join(5)
    head = asked[0].decode()
    assert head.startswith("GET http://hub.example/v2/?n=1 HTTP/1.1\r\nHost: hub.example\r\n")
    assert "Proxy-Authorization: Basic dTpw\r\n" in head


def test_for_tls_the_proxy_is_asked_for_a_tunnel() -> None:
    address, asked, thread = proxy_that_answers(b"HTTP/1.1 403 No\r\n\r\n")
    connection = open_connection(
        "hub.example:5000", Route(address, {"Proxy-Authorization": "x"}), ssl.create_default_context(), 5
    )
    with pytest.raises(OSError, match="403"):
        connection.request("GET", "/v2/")
    thread.join(5)
    head = asked[0].decode()
    assert head.startswith("CONNECT hub.example:5000 HTTP/1")
    assert "Proxy-Authorization: x\r\n" in head
