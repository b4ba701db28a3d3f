"""Leaving secrets out of answers: environment variables, configs, options with passwords.

Names stay, values become ``REDACTED``: a viewer sees that ``DB_PASSWORD`` is set. An answer is walked through whole, so
that a place nobody thought of (``PreviousSpec``, a task's copy of its service) is redacted like any other. The shape
does not change; clients decode it as before.

What a process prints, its command line, and labels are not secrets here: see docs/policy.md.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from tidegate.access.objects.ownership import owner_in
from tidegate.access.verdict import Redaction

REDACTED = "<redacted>"
_BUILD_ARGUMENTS = re.compile(r"^(\|[0-9]+ ).*?(?= (?:/bin/|cmd |powershell |/[a-z]))", re.DOTALL)
_SHARED = frozenset({"ImageInspect", "ImageHistory", "ImageAttestations"})
_SECRET_NAME = re.compile(r"pass|secret|token|key|credential", re.IGNORECASE)


def redacts(operation_id: str, redaction: Redaction) -> bool:
    """Whether the answer has to be read whole and put through ``redact``."""
    if redaction is Redaction.NOBODYS or operation_id not in _REDACTED_OPERATIONS:
        return False
    return redaction is Redaction.EVERYBODYS or operation_id not in _SHARED


def redact(operation_id: str, answer: object, redaction: Redaction, owner: str) -> object:
    """The decoded answer without the secrets that ``redaction`` speaks of; ``owner`` is the client."""
    if not redacts(operation_id, redaction):
        return answer
    spare = owner if redaction is Redaction.FOREIGN else ""
    if isinstance(answer, list):
        return [_redact_object(item, operation_id, spare) for item in answer]
    return _redact_object(answer, operation_id, spare)


def _redact_object(answer: object, operation_id: str, spare: str) -> object:
    if not isinstance(answer, Mapping):
        return answer
    if spare and _owner_of_answer(answer) == spare:
        return answer
    return _walk(answer, _REDACTED_OPERATIONS[operation_id])


def _owner_of_answer(answer: Mapping[str, object]) -> str:
    for path in (("Config",), ("Spec",), ()):
        holder: object = answer
        for key in path:
            holder = holder.get(key) if isinstance(holder, Mapping) else None
        if isinstance(holder, Mapping) and owner_in(holder.get("Labels")):
            return owner_in(holder.get("Labels"))
    return ""


def _walk(value: object, redactors: "Redactors") -> object:
    if isinstance(value, Mapping):
        return {
            key: redactors[key](inner) if key in redactors else _walk(inner, redactors) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_walk(item, redactors) for item in value]
    return value


def _environment(value: object) -> object:
    """``["NAME=value"]``, or a plugin's ``[{"Name": ..., "Value": ...}]``."""
    if not isinstance(value, list):
        return value
    return [_variable(item) for item in value]


def _variable(item: object) -> object:
    if isinstance(item, str):
        name, equals, _ = item.partition("=")
        return f"{name}={REDACTED}" if equals else name
    if isinstance(item, Mapping) and "Value" in item:
        return {**item, "Value": REDACTED}
    return item


def _options(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {key: REDACTED if _tells_secret(key, inner) else inner for key, inner in value.items()}


def _tells_secret(key: str, value: object) -> bool:
    return bool(_SECRET_NAME.search(key)) or (isinstance(value, str) and bool(_SECRET_NAME.search(value)))


def _whole(value: object) -> object:
    return "" if value in (None, "") else "PHJlZGFjdGVkPg=="  # REDACTED in base64: the field is []byte


def _created_by(value: object) -> object:
    return _BUILD_ARGUMENTS.sub(rf"\1{REDACTED}", value) if isinstance(value, str) else value


def _log_config(value: object) -> object:
    return {**value, "Config": _options(value.get("Config"))} if isinstance(value, Mapping) else value


Redactors = Mapping[str, Callable[[object], object]]

_OF_OBJECTS: Redactors = MappingProxyType({"Env": _environment, "Options": _options})
_OF_CONTAINERS: Redactors = MappingProxyType({**_OF_OBJECTS, "LogConfig": _log_config})
_OF_SECRETS: Redactors = MappingProxyType({"Data": _whole, "Options": _options})
_OF_HISTORY: Redactors = MappingProxyType({"CreatedBy": _created_by})
_REDACTED_OPERATIONS: Mapping[str, Redactors] = MappingProxyType(
    {
        "ContainerInspect": _OF_CONTAINERS,
        "ImageInspect": _OF_OBJECTS,
        "ImageHistory": _OF_HISTORY,
        "ImageAttestations": _OF_OBJECTS,
        "PluginInspect": _OF_OBJECTS,
        "PluginList": _OF_OBJECTS,
        "ServiceInspect": _OF_CONTAINERS,
        "ServiceList": _OF_CONTAINERS,
        "TaskInspect": _OF_CONTAINERS,
        "TaskList": _OF_CONTAINERS,
        "NodeInspect": _OF_OBJECTS,
        "VolumeInspect": _OF_OBJECTS,
        "VolumeList": _OF_OBJECTS,
        "SystemDataUsage": _OF_OBJECTS,
        "SecretInspect": _OF_SECRETS,
        "SecretList": _OF_SECRETS,
        "ConfigInspect": _OF_SECRETS,
        "ConfigList": _OF_SECRETS,
    }
)
