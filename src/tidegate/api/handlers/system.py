"""Ping and version: what a client asks before anything else."""

import os
import platform
from collections.abc import Mapping, Sequence
from functools import partial

from tidegate import __version__
from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.api.versions.answers import shown_to
from tidegate.api.views.system import component_view
from tidegate.base.host import go_architecture
from tidegate.http.messages import Response
from tidegate.kernel.host import Program
from tidegate.spec.api_version import NEWEST, OLDEST, text

_PING_HEADERS = (
    ("Builder-Version", "1"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Swarm", "inactive"),
    ("Content-Type", "text/plain; charset=utf-8"),
)


async def ping(call: Call) -> Response:
    """GET and HEAD /_ping."""
    return Response(200, _PING_HEADERS, b"OK" if call.request.method == "GET" else b"")


async def version(programs: Sequence[Program], call: Call) -> Response:
    """GET /version; ``programs`` are those that the engine runs."""
    host = os.uname()
    details = {
        "ApiVersion": text(NEWEST),
        "Arch": go_architecture(host.machine),
        "KernelVersion": host.release,
        "MinAPIVersion": text(OLDEST),
        "Os": "linux",
        "Experimental": "false",
        "PythonVersion": platform.python_version(),
    }
    engine = {"Name": "Engine", "Version": __version__, "Details": details}
    shown = {
        "Platform": {"Name": "Tidegate"},
        "Components": [engine, *map(component_view, programs)],
        "Version": __version__,
        # Clients look these up; there is no Go in this engine, and no commit or time of a build is known.
        **dict.fromkeys(("GitCommit", "GoVersion", "BuildTime"), ""),
        "ApiVersion": text(NEWEST),
        "MinAPIVersion": text(OLDEST),
        "Os": "linux",
        "Arch": go_architecture(host.machine),
        "KernelVersion": host.release,
    }
    return json_response(shown_to(call.profile, "SystemVersion", shown))


def handlers(programs: Sequence[Program] = ()) -> Mapping[str, Handler]:
    """Operation id to handler."""
    return {"SystemPing": ping, "SystemPingHead": ping, "SystemVersion": partial(version, programs)}
