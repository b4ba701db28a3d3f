"""``tidegate proof``: runs one container through port 2376 with the first administrator's certificate.

It speaks to the front door as any client would: mutual TLS, nothing of the engine's own. ``make run`` calls it, so that
a fresh installation proves itself; where there is no image, ``busybox`` is seeded first.
"""

import argparse
import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from tidegate.base.errors import InternalError, UnavailableError

DEFAULT_DATA_ROOT = Path("/var/lib/tidegate")
IMAGE = "busybox:latest"
GREETING = "hello from a container, through mutual TLS on port {port}"
_DEADLINE_S = 60


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", type=Path, default=DEFAULT_DATA_ROOT, metavar="DIR")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2376)
    parser.add_argument("--socket", type=Path, default=Path("/run/tidegate.sock"), metavar="PATH")


def run(args: argparse.Namespace) -> int:
    door = FrontDoor(args.address, args.port, args.data_root / "pki/clients/admin")
    version = door.ask("GET", "/version")
    print(f"engine {version['Version']}, API {version['MinAPIVersion']} to {version['ApiVersion']}")
    if not door.ask("GET", "/images/json"):
        from tidegate.cli import image_command

        image_command.run(argparse.Namespace(socket=args.socket, tag=IMAGE))
    print(door.run_container(["echo", GREETING.format(port=args.port)]), end="")
    return 0


class FrontDoor:
    """A client of the API over mutual TLS."""

    def __init__(self, address: str, port: int, certificates: Path) -> None:
        """Raises UnavailableError when the certificates are not there."""
        self._address, self._port = address, port
        try:
            self._context = ssl.create_default_context(cafile=certificates / "ca.pem")
            self._context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        except OSError as error:
            raise UnavailableError(f"no client certificate in {certificates}: {error}") from error

    def ask_bytes(self, method: str, target: str, document: object = None) -> bytes:
        """One request. Raises UnavailableError, and InternalError with the engine's message for an error status."""
        connection = http.client.HTTPSConnection(self._address, self._port, timeout=_DEADLINE_S, context=self._context)
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, target, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
        except OSError as error:
            raise UnavailableError(f"nothing answers at {self._address}:{self._port}: {error}") from error
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise InternalError(f"{method} {target}: {answer.status} {data.decode(errors='replace').strip()}")
        return data

    def ask(self, method: str, target: str, document: object = None) -> Any:
        """As ``ask_bytes``, with a JSON answer; None for an empty one."""
        data = self.ask_bytes(method, target, document)
        return json.loads(data) if data else None

    def run_container(self, command: list[str]) -> str:
        """Run it with a TTY (so that its log is plain text), wait, and remove it."""
        request = {"Image": IMAGE, "Cmd": command, "Tty": True, "HostConfig": {"NetworkMode": "none"}}
        identity = self.ask("POST", "/containers/create", request)["Id"]
        try:
            self.ask("POST", f"/containers/{identity}/start")
            status = self.ask("POST", f"/containers/{identity}/wait")["StatusCode"]
            output = self.ask_bytes("GET", f"/containers/{identity}/logs?stdout=1").decode()
        finally:
            self.ask("DELETE", f"/containers/{identity}?force=1")
        if status != 0:
            raise InternalError(f"the container ended with {status}: {output}")
        return output.replace("\r\n", "\n")
