"""Where each container's log is, and what is written there: the decisions of ``engine/logging`` on this host."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.logging.options import JSON_FILE
from tidegate.engine.logging.plans import plan_attributes, plan_local_log
from tidegate.engine.logging.tags import TagFacts, render_tag
from tidegate.engine.ports import LogTarget
from tidegate.model.container import Container
from tidegate.spec.container import CreateRequest
from tidegate.spec.stored import stored_request

MATCHING_TIMEOUT_S = 5
# An expression may take for ever, and it is the client's: it gets a process of its own, and a second.
_MATCHING = """\
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
pattern, names = json.load(sys.stdin)
json.dump([name for name in names if re.search(pattern, name)], sys.stdout)
"""


class LogPlanner(msgspec.Struct, frozen=True):
    """``home`` answers a container's directory."""

    home: Callable[[str], Path]

    def path(self, container: Container) -> Path:
        """The newest file of the local log, where there is one."""
        return self.home(container.id) / f"{container.id}-json.log"

    def shown_path(self, container: Container) -> Path | None:
        """As inspect tells it: of ``json-file`` alone, as with dockerd."""
        driver = stored_request(container.document).host_config.log_config.type
        return self.path(container) if driver in ("", JSON_FILE) else None

    def readable(self, container: Container) -> Path | None:
        """None for a container whose log cannot be read here."""
        local = plan_local_log(stored_request(container.document).host_config.log_config)
        return self.path(container) if local is not None and local.is_readable else None

    def target(self, container: Container, document: CreateRequest) -> LogTarget | None:
        """Blocks. Raises InvalidParameterError: an expression that takes too long."""
        config = document.host_config.log_config
        local = plan_local_log(config)
        if local is None:
            return None
        attributes = dict(plan_attributes(config.config, document.labels, document.env, find_names))
        if tag := config.config.get("tag"):
            attributes["tag"] = render_tag(tag, tag_facts(container, document))
        path = self.path(container)
        return LogTarget(path, local.max_size_bytes, local.max_files, local.compress, attributes)


def tag_facts(container: Container, document: CreateRequest) -> TagFacts:
    """What tags may tell of a container."""
    command = " ".join([*(document.entrypoint or ()), *(document.cmd or ())])
    return TagFacts(
        container.id, container.name, container.image_id, container.image, command, hostname=socket.gethostname()
    )


def find_names(pattern: str, names: Collection[str]) -> Collection[str]:
    """The names in which the expression is found. Blocks. Raises InvalidParameterError when that takes too long."""
    if not names:
        return ()
    command = [sys.executable, "-I", "-S", "-c", _MATCHING]
    asked = json.dumps([pattern, list(names)]).encode()
    try:
        done = subprocess.run(command, input=asked, capture_output=True, timeout=MATCHING_TIMEOUT_S, check=True)  # noqa: S603
    except subprocess.SubprocessError as error:
        raise InvalidParameterError(f"log opt: the expression {pattern!r} takes too long") from error
    found: list[str] = json.loads(done.stdout)
    return found
