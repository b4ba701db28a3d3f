"""Answers held against the specification: its Swagger 2 schemas as JSON Schema, strict about what they do not name.

- ``../shared/data/engine-api-vN.yaml`` beside the repository, or the directory that ``TIDEGATE_SPECIFICATIONS`` names.
  The published files of older versions are in moby, ``api/docs``; a version without a file is not judged.
- A property that a schema does not name is a problem, and so is a null that is not ``x-nullable``: typed clients fail
  on both. Where Docker's own answers differ from its specification, ``KNOWN`` says so.
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tidegate.spec.api_version import parse_version
from tidegate.spec.catalogue import operation

DIRECTORY = Path(os.environ.get("TIDEGATE_SPECIFICATIONS", Path(__file__).resolve().parents[3] / "shared" / "data"))
NEWEST = "1.56"
NAMES_EVERYTHING = (1, 44)
"""Older files leave out much that Docker's engines of then answered; of those answers only the types are judged."""
# "Operation place: complaint" as expressions, each with its reason.
KNOWN: dict[str, str] = {
    r"ContainerInspect Config\.(Entrypoint|OnBuild): None is .*": "absent and empty differ, as in Docker",
    r"ContainerInspect HostConfig\.(MemorySwappiness|OomKillDisable|PidsLimit|Links): None .*": "not said",
    r"ContainerInspect HostConfig\.(MaskedPaths|ReadonlyPaths): None .*": "not said",
    r"ImageInspect (Config|ContainerConfig)\.(Cmd|Entrypoint|Env|Labels|OnBuild|Volumes): None is .*": (
        "below 1.52, null is what the image does not say, as in Docker"
    ),
    r"SystemDataUsage \.: unknown (BuildCache|Containers|Images|LayersSize|Volumes)(, \w+)*": (
        "as in Docker, clients that take whatever version is newest are answered in both forms"
    ),
    r"ImageInspect \.: unknown Parent": "as in Docker, told of what was committed though no longer specified",
    r"SystemEvents \.: unknown (from, )?id, status": "below 1.52, as in Docker; never in a specification",
    r"ExecInspect ExitCode: None is not of type 'integer'": "of one that has not ended; docker-py looks for it",
    r"ContainerInspect (NetworkSettings\.Ports|HostConfig\.PortBindings).*": "files below 1.36 have the wrong types",
    r"ContainerInspect (ExecIDs|HostConfig\.RestartPolicy\.Name): .*": "files below 1.36 have no word for nothing",
    r"ContainerList .*IPAMConfig: None is not of type 'object'": "null, which files below 1.32 have no word for",
    r"SystemDataUsage Containers\[\]: .* is not of type 'array'": "files below 1.44 have a list too many",
}


def is_here(version: str = NEWEST) -> bool:
    """Whether there is a specification of the version."""
    return (DIRECTORY / f"engine-api-v{version}.yaml").exists()


@cache
def read(version: str) -> dict[str, Any]:
    """The whole document."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((DIRECTORY / f"engine-api-v{version}.yaml").read_bytes(), Loader=loader)


def problems(version: str, operation_id: str, status: int, value: object) -> list[str]:
    """What is wrong with the JSON answer, but for what is known; [] when the specification has no schema for it."""
    validator = _validator(version, operation_id, status)
    if validator is None:
        return []
    names_everything = parse_version(version) >= NAMES_EVERYTHING
    found = (
        f"{operation_id} {_place(error)}: {_complaint(error)}"
        for error in _leaves(validator.iter_errors(value))
        if names_everything or error.validator != "additionalProperties"
    )
    return sorted({text for text in found if not any(re.fullmatch(known, text) for known in KNOWN)})


def _place(error: jsonschema.ValidationError) -> str:
    path = "".join("[]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return path.lstrip(".") or "."


def _complaint(error: jsonschema.ValidationError) -> str:
    if error.validator == "additionalProperties":
        extra = sorted(set(error.instance) - set(error.schema.get("properties", ())))
        return f"unknown {', '.join(extra)}"
    message = error.message
    return message if len(message) < 300 else f"{message[:200]} ... {message[-40:]}"


def _leaves(errors: Iterator[jsonschema.ValidationError]) -> Iterator[jsonschema.ValidationError]:
    """Of alternatives (nullable references) the complaints of the one that is no null."""
    for error in errors:
        if error.context:
            yield from _leaves(iter([each for each in error.context if each.schema != {"type": "null"}]))
        else:
            yield error


@cache
def _validator(version: str, operation_id: str, status: int) -> Any:
    document, op = read(version), operation(operation_id)
    described = document["paths"].get(op.template, {}).get(op.method.lower())
    if described is None:
        return None
    answer = described["responses"].get(status) or described["responses"].get(str(status)) or {}
    schema = answer.get("schema")
    if schema is None or "json" not in " ".join(described.get("produces", document["produces"])):
        return None
    definitions = {name: _converted(document, each) for name, each in document["definitions"].items()}
    return jsonschema.Draft202012Validator({**_converted(document, schema), "$defs": definitions})


def _converted(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    nullable = schema.get("x-nullable", False)
    if "$ref" in schema:
        reference = {"$ref": schema["$ref"].replace("#/definitions/", "#/$defs/")}
        return {"anyOf": [reference, {"type": "null"}]} if nullable else reference
    if "allOf" in schema:
        schema = merged(document, schema)
    found: dict[str, Any] = {key: schema[key] for key in ("required", "pattern", "minimum", "maximum") if key in schema}
    kind = schema.get("type") or ("object" if "properties" in schema else None)
    if kind:
        found["type"] = [kind, "null"] if nullable else kind
    if "enum" in schema:
        found["enum"] = [*schema["enum"], *([None] if nullable else [])]
    if "items" in schema:
        found["items"] = _converted(document, schema["items"])
    more = schema.get("additionalProperties")
    if "properties" in schema:
        found["properties"] = {name: _converted(document, each) for name, each in schema["properties"].items()}
        found["additionalProperties"] = more if isinstance(more, bool) else False
    if isinstance(more, dict):
        found["additionalProperties"] = _converted(document, more)
    return found


def merged(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that others are part of, as one."""
    whole: dict[str, Any] = {}
    for part in (*schema["allOf"], {key: value for key, value in schema.items() if key != "allOf"}):
        if "$ref" in part:
            part = document["definitions"][part["$ref"].rpartition("/")[2]]
        if "allOf" in part:
            part = merged(document, part)
        for key, value in part.items():
            if key == "properties":
                whole[key] = whole.get(key, {}) | value
            elif key == "required":
                whole[key] = [*whole.get(key, ()), *value]
            else:
                whole[key] = value
    return whole
