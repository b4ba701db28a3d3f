"""A host made of files, and engines that answer on real sockets, for the doctor to look at."""

import http.server
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidegate.cli.doctor.host import Host


def add_process(host: Host, pid: int, *argv: str, sockets: tuple[int, ...] = ()) -> None:
    directory = host.path(f"/proc/{pid}")
    (directory / "fd").mkdir(parents=True)
    (directory / "cmdline").write_bytes(b"\0".join(word.encode() for word in argv) + b"\0")
    (directory / "comm").write_text(Path(argv[0]).name + "\n")
    for number, inode in enumerate(sockets):
        (directory / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


def tcp_table(*rows: tuple[str, int, int]) -> str:
    """/proc/net/tcp with listeners (address, port, inode), and a connection that is none."""
    lines = ["  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"]
    for address, port, inode in rows:
        packed = socket.inet_aton(address)[::-1].hex().upper()
        lines.append(f"   0: {packed}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 {inode} 1")
    lines.append("   9: 0100007F:0947 0100007F:A000 01 00000000:00000000 00:00000000 00000000 0 0 99 1")
    return "\n".join(lines) + "\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """A Docker API of sorts; ``containers`` is set by ``engine``."""

    protocol_version = "HTTP/1.1"
    containers: dict[str, dict[str, Any]] = {}  # noqa: RUF012
    api = True

    def do_GET(self) -> None:  # noqa: N802 - the name is the library's
        if self.path == "/containers/json?all=1":
            body: Any = [{"Id": name} for name in self.containers]
        else:
            body = self.containers.get(self.path.removeprefix("/containers/").removesuffix("/json"), {})
        content = json.dumps(body).encode()
        self.send_response(200)
        if self.api:
            self.send_header("Api-Version", "1.47")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: Any) -> None: ...


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None: ...

    def get_request(self) -> Any:
        connection, address = self.socket.accept()
        return connection, address or ("unix", 0)


@contextmanager
def engine(
    path: Path | None = None,
    containers: dict[str, dict[str, Any]] | None = None,
    api: bool = True,
    context: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """Serve on a unix socket, or on a loopback port, which is yielded."""
    handler = type("Handler", (Handler,), {"containers": containers or {}, "api": api})
    server = _Server(("127.0.0.1", 0), handler, bind_and_activate=False)
    if path is not None:
        server.socket.close()
        server.socket = socket.socket(socket.AF_UNIX)
        server.socket.bind(str(path))
    else:
        server.server_bind()
    server.server_activate()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_port if path is None else 0
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
