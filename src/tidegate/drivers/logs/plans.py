"""Where each container's log is, and what is written there: the decisions of ``engine/logging`` on this host."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.drivers.logs.forwarding.places import Places
from tidegate.drivers.logs.remotes.journald import JOURNAL_SOCKET
from tidegate.engine.logging.options import JOURNALD, JSON_FILE, REMOTE_OPTIONS
from tidegate.engine.logging.plans import buffer_limit_bytes, plan_attributes, plan_local_log
from tidegate.engine.logging.remote import RemoteLog
from tidegate.engine.logging.tags import DEFAULT_TAG, TagFacts, render_tag
from tidegate.engine.ports import LogTarget
from tidegate.model.container import Container
from tidegate.spec.container import CreateRequest
from tidegate.spec.stored import stored_request
from tidegate.spec.timestamps import format_time

MATCHING_TIMEOUT_S = 5
# An expression may take for ever, and it is the client's: it gets a process of its own, and a second.
_MATCHING = """\
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
pattern, names = json.load(sys.stdin)
try:
    json.dump([name for name in names if re.search(pattern, name)], sys.stdout)
except (re.error, RecursionError, OverflowError) as error:
    json.dump(str(error), sys.stdout)
"""


class LogPlanner(msgspec.Struct, frozen=True):
    """``home`` answers a container's directory; what goes to remotes may outlive that, and lies at ``forwarded``."""

    home: Callable[[str], Path]
    forwarded: Places

    def path(self, container: Container) -> Path:
        """The newest file of the local log, where there is one."""
        if _driver(container) in REMOTE_OPTIONS:
            return self.forwarded.log(container.id)
        return self.home(container.id) / f"{container.id}-json.log"

    def shown_path(self, container: Container) -> Path | None:
        """As inspect tells it: of ``json-file`` alone, as with dockerd."""
        return self.path(container) if _driver(container) in ("", JSON_FILE) else None

    def readable(self, container: Container) -> Path | None:
        """None for a container whose log cannot be read here."""
        local = plan_local_log(stored_request(container.document).host_config.log_config)
        return self.path(container) if local is not None and local.is_readable else None

    def target(self, container: Container, document: CreateRequest) -> LogTarget | None:
        """Blocks. Raises InvalidParameterError: an expression takes too long; UnavailableError: no journald here."""
        config = document.host_config.log_config
        local = plan_local_log(config)
        if local is None:
            return None
        attributes = plan_attributes(config.config, document.labels, document.env, find_names)
        target = LogTarget(self.path(container), local.max_size_bytes, local.max_files, local.compress)
        if config.type in REMOTE_OPTIONS:
            return replace(target, remote=_remote_log(container, document, attributes))
        if tag := config.config.get("tag"):
            attributes = {**attributes, "tag": render_tag(tag, tag_facts(container, document))}
        return replace(target, attributes=attributes)


def _driver(container: Container) -> str:
    return stored_request(container.document).host_config.log_config.type


def _remote_log(container: Container, document: CreateRequest, attributes: Mapping[str, str]) -> RemoteLog:
    config, facts = document.host_config.log_config, tag_facts(container, document)
    if config.type == JOURNALD and not Path(JOURNAL_SOCKET).exists():
        raise UnavailableError("journald is not enabled on this host")
    return RemoteLog(
        driver=config.type,
        options={name: value for name, value in config.config.items() if name in REMOTE_OPTIONS[config.type]},
        tag=render_tag(config.config.get("tag") or DEFAULT_TAG, facts),
        container_id=container.id,
        container_name=container.name,
        image_id=container.image_id,
        image_name=container.image,
        command=facts.command,
        created=format_time(container.created_at_ns),
        attributes=attributes,
        limit_bytes=buffer_limit_bytes(config),
    )


def tag_facts(container: Container, document: CreateRequest) -> TagFacts:
    """What tags may tell of a container."""
    command = " ".join([*(document.entrypoint or ()), *(document.cmd or ())])
    return TagFacts(
        container.id, container.name, container.image_id, container.image, command, hostname=socket.gethostname()
    )


def find_names(pattern: str, names: Collection[str]) -> Collection[str]:
    """The names in which the expression is found. Blocks. Raises InvalidParameterError: none, or too long."""
    if not names:
        return ()
    command = [sys.executable, "-I", "-S", "-c", _MATCHING]
    asked = json.dumps([pattern, list(names)]).encode()
    try:
        done = subprocess.run(command, input=asked, capture_output=True, timeout=MATCHING_TIMEOUT_S, check=True)  # noqa: S603
    except subprocess.SubprocessError as error:
        raise InvalidParameterError(f"log opt: the expression {pattern!r} takes too long") from error
    found: list[str] | str = json.loads(done.stdout)
    if isinstance(found, str):
        raise InvalidParameterError(f"log opt: the expression {pattern!r} is wrong: {found}")
    return found
