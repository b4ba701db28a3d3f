"""A remote log and records for tests."""

import json
from pathlib import Path

from tidegate.engine.logging.remote import RemoteLog

TIME = "2026-01-02T03:04:05.123456789Z"
TIME_NS = 1767323045123456789


def remote_log(driver: str = "syslog", **options: str) -> RemoteLog:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return RemoteLog(
        driver, named, "tag", "c" * 64, "web", "sha256:1", "nginx:1", "nginx -g", "2026-01-01T00:00:00Z", {"team": "a"}
    )


def lines(*numbers: int) -> str:
    """Records whose first one is another in each file."""
    return "".join(
        json.dumps({"log": f"line {n}\n", "stream": "stdout", "time": f"2026-01-02T03:04:05.{n:09}Z"}) + "\n"
        for n in numbers
    )


def append(path: Path, *numbers: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(lines(*numbers))
