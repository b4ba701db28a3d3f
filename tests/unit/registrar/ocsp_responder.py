"""An OCSP responder on loopback."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from tests.unit.pki.foreign_ca import ForeignCA, now


@dataclass
class Responder:
    """``status`` is what it says of every certificate, for ``lasts``; another ``http_status`` than 200 is a fault."""

    ca: ForeignCA
    known: dict[int, x509.Certificate] = field(default_factory=dict)
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    lasts: timedelta = timedelta(days=1)
    http_status: int = 200
    asked: int = 0
    url: str = ""

    def answer(self, question: bytes) -> bytes:
        self.asked += 1
        request = ocsp.load_der_ocsp_request(question)
        nonce = request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        updates = now() - timedelta(minutes=1), now() + self.lasts
        return self.ca.answer(self.known[request.serial_number], self.status, nonce=nonce, updates=updates)

    def client(self, name: str) -> x509.Certificate:
        """A certificate that says to ask here."""
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(self.url))
        certificate = self.ca.client(name, x509.AuthorityInformationAccess([access]))[0]
        self.known[certificate.serial_number] = certificate
        return certificate


Listen = Callable[[type[http.server.BaseHTTPRequestHandler]], http.server.ThreadingHTTPServer]


def _listen(handler: type[http.server.BaseHTTPRequestHandler]) -> http.server.ThreadingHTTPServer:
    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)


@contextmanager
def answering(responder: Responder, listen: Listen = _listen) -> Iterator[Responder]:
    """With its ``url``; ``listen`` may do so somewhere else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 - its name
            answer = responder.answer(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Content-Type"] == "application/ocsp-request"
            self.send_response(responder.http_status)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = listen(Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    responder.url = f"http://127.0.0.1:{server.server_address[1]}/ocsp"
    try:
        yield responder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
