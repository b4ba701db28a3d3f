"""An authorization plugin of Docker's, as a process: ``python -m tests.e2e.authz_plugin SOCKET JOURNAL``.

It denies what is about a container named ``forbidden``, and notes what it was asked: the call, the user, the request
line, and how many bytes of which body it was shown.
"""

import base64
import json
import os
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class _Plugin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802 - as the base has it
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/Plugin.Activate":
            self._answer({"Implements": ["authz"]})
            return
        asked = json.loads(content)
        body = base64.b64decode(asked.get("RequestBody") or "")
        told = base64.b64decode(asked.get("ResponseBody") or "")
        line = {
            "call": self.path[1:],
            "user": asked["User"],
            "uri": asked["RequestUri"],
            "method": asked["RequestMethod"],
        }
        line |= {"body": len(body), "answer": len(told), "tail": body[-40:].decode("utf-8", "replace")}
        with Path(sys.argv[2]).open("a") as journal:
            journal.write(json.dumps(line) + "\n")
        allowed = "forbidden" not in asked["RequestUri"]
        self._answer({"Allow": allowed, "Msg": "" if allowed else "that one is forbidden"})

    def _answer(self, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *words: object) -> None:
        """The journal says it."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def main() -> None:
    os.umask(0o077)  # root's alone, as dockerd's plugins have it
    with _Server(sys.argv[1], _Plugin) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
