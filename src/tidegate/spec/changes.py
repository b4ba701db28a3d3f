"""``changes`` of import and commit: Dockerfile instructions that alter an image's configuration; pure.

CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR; others are refused by name, as moby does.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidegate.base.errors import InvalidParameterError

Config = dict[str, Any]
_PORT = re.compile(r"[0-9]{1,5}(/(tcp|udp|sctp))?")


def apply_changes(config: Mapping[str, Any], changes: Iterable[str]) -> Config:
    """The OCI ``config`` object after the instructions. Raises InvalidParameterError naming the instruction."""
    changed = dict(config)
    for change in changes:
        for line in change.splitlines():
            if line.strip():
                _apply(changed, line.strip())
    return changed


def _apply(config: Config, line: str) -> None:
    name, _, rest = line.partition(" ")
    instruction = _INSTRUCTIONS.get(name.upper())
    if instruction is None:
        raise InvalidParameterError(f"{name} is not a valid change command")
    if not rest.strip():
        raise InvalidParameterError(f"{name.upper()} requires at least one argument")
    instruction(config, rest.strip())


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidParameterError(f"cannot read {text!r}: {error}") from error


def _json_words(text: str) -> list[str] | None:
    """The exec form, or None for text that is not one."""
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _command(key: str) -> Callable[[Config, str], None]:
    def change(config: Config, text: str) -> None:
        words = _json_words(text)
        config[key] = ["/bin/sh", "-c", text] if words is None else words

    return change


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    """``K=V K2="V 2"``, or the old ``K V``."""
    words = _words(text)
    if words and "=" not in words[0]:
        yield words[0], text.partition(" ")[2].strip()
        return
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InvalidParameterError(f"{word!r} must be of the form NAME=VALUE")
        yield key, value


def _env(config: Config, text: str) -> None:
    merged = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    merged.update(_pairs(text))
    config["Env"] = [f"{key}={value}" for key, value in merged.items()]


def _label(config: Config, text: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs(text))}


def _expose(config: Config, text: str) -> None:
    ports: Config = {}
    for word in _words(text):
        if not _PORT.fullmatch(word):
            raise InvalidParameterError(f"invalid containerPort: {word}")
        ports[word if "/" in word else f"{word}/tcp"] = {}
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **ports}


def _volume(config: Config, text: str) -> None:
    paths = _json_words(text) or _words(text)
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in paths}}


def _workdir(config: Config, text: str) -> None:
    config["WorkingDir"] = text if text.startswith("/") else f"{config.get('WorkingDir') or ''}/{text}"


def _plain(key: str) -> Callable[[Config, str], None]:
    def change(config: Config, text: str) -> None:
        config[key] = text

    return change


_INSTRUCTIONS: Mapping[str, Callable[[Config, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "STOPSIGNAL": _plain("StopSignal"),
    "USER": _plain("User"),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
