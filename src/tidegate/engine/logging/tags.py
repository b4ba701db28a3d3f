"""The ``tag`` of a log: a template such as ``{{.ImageName}}/{{.Name}}``, with the fields of Docker's.

Only fields are known, none of the functions of Go's templates: what else stands in braces is refused at create.
Source: https://docs.docker.com/engine/logging/log_tags/, moby ``daemon/logger/loginfo.go``.
"""

from collections.abc import Callable, Mapping

import msgspec

from tidegate.base.errors import InvalidParameterError

DEFAULT_TAG = "{{.ID}}"
_SHORT = 12


class TagFacts(msgspec.Struct, frozen=True):
    """What is known of a container when its log is opened. ``image_id`` is ``sha256:<hex>``."""

    id: str = ""
    name: str = ""
    image_id: str = ""
    image_name: str = ""
    command: str = ""
    hostname: str = ""


_FIELDS: Mapping[str, Callable[[TagFacts], str]] = {
    ".ID": lambda facts: facts.id[:_SHORT],
    ".FullID": lambda facts: facts.id,
    ".Name": lambda facts: facts.name,
    ".ImageID": lambda facts: facts.image_id[:_SHORT],
    ".ImageFullID": lambda facts: facts.image_id,
    ".ImageName": lambda facts: facts.image_name,
    ".Command": lambda facts: facts.command,
    ".Hostname": lambda facts: facts.hostname,
    ".DaemonName": lambda _facts: "docker",  # what filters of Docker's users look for
}


def render_tag(template: str, facts: TagFacts) -> str:
    """Raises InvalidParameterError for what is no field."""
    text, *rest = template.split("{{")
    for part in rest:
        name, closing, following = part.partition("}}")
        if not closing:
            raise InvalidParameterError("log opt tag: there is a {{ without its }}")
        text += _field(name.strip())(facts) + following
    return text


def _field(name: str) -> Callable[[TagFacts], str]:
    if name not in _FIELDS:
        raise InvalidParameterError(f"log opt tag: {{{{{name[:100]}}}}} is none of {', '.join(sorted(_FIELDS))}")
    return _FIELDS[name]


def check_tag(_name: str, template: str) -> str:
    """The template. Raises InvalidParameterError."""
    render_tag(template, TagFacts())
    return template
