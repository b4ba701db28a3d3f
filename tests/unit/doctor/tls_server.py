"""A TLS server on loopback that behaves as the gate does, in a thread; and what stands before it at times."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

from tidegate.http.hijack import Hijack
from tidegate.http.messages import Request, Response
from tidegate.http.server import Server
from tidegate.http.tls import TLSListener

Handler = Callable[[Request], Awaitable[Response | Hijack]]


async def ping(_request: Request) -> Response:
    return Response(200, (("Api-Version", "1.47"),), b"OK")


def _same(context: ssl.SSLContext) -> ssl.SSLContext:
    return context


@contextmanager
def serving(context: ssl.SSLContext | None, handler: Handler = ping) -> Iterator[int]:
    """The port."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        server = Server(handler)
        await server.listen(sock, TLSListener(partial(_same, context)) if context is not None else None)
        ready.set()
        await stop.wait()
        await server.close(grace_s=0.1)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield sock.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@contextmanager
def proxy(answer: bytes, onward: int | None = None) -> Iterator[int]:
    """An HTTP proxy that answers CONNECT so, and goes on to the port ``onward``, whatever was asked for."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                while not client.recv(4096).endswith(b"\r\n\r\n"):
                    pass
                client.sendall(answer)
                if onward is not None:
                    _splice(client, onward)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _splice(client: socket.socket, onward: int) -> None:
    with socket.create_connection(("127.0.0.1", onward)) as server:
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join(10)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
