"""What a SIGHUP changes: new settings as far as they can change while processes run, and the event that tells. Pure.

A setting that is not ``reloadable`` keeps its value until the next start, and is named. Source for the event:
moby, daemon/reload.go.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.daemon.config import DaemonConfig
from tidegate.daemon.process_settings import EngineProcessSettings
from tidegate.daemon.settings import SETTINGS

RELOADABLE = frozenset(setting.name for setting in SETTINGS if setting.reloadable)


class ReloadPlan(msgspec.Struct, frozen=True):
    """``pending`` are settings that were changed and need a restart; ``warnings`` are new ones."""

    config: DaemonConfig
    pending: tuple[str, ...]
    warnings: tuple[str, ...]


def plan_reload(running: DaemonConfig, wanted: DaemonConfig) -> ReloadPlan:
    """From what holds, and what the file says now; ``wanted`` was decided upon as at a start."""
    old, new = running.settings, wanted.settings
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    kept = {name: value for name, value in old.items() if name not in RELOADABLE}
    taken = {name: value for name, value in new.items() if name in RELOADABLE}
    return ReloadPlan(
        msgspec.structs.replace(running, settings={**kept, **taken}, warnings=wanted.warnings),
        tuple(sorted(changed - RELOADABLE)),
        tuple(text for text in wanted.warnings if text not in running.warnings),
    )


def reload_attributes(settings: EngineProcessSettings) -> dict[str, str]:
    """Of the event ``daemon reload``, with dockerd's names; lists are JSON."""
    return {
        "debug": _text(settings.log_level == "debug"),
        "default-runtime": settings.containers.default_runtime,
        "insecure-registries": _list(settings.insecure_registries),
        "labels": _list(settings.labels),
        "live-restore": _text(settings.live_restore),
        "max-concurrent-downloads": str(settings.transfers.downloads),
        "max-download-attempts": str(settings.transfers.attempts),
        "registry-mirrors": _list(settings.registry_mirrors),
        "runtimes": " ".join(f"{name}:{each.path}" for name, each in settings.containers.runtimes.items()),
        "shutdown-timeout": str(settings.shutdown_timeout_s),
    }


def shown(values: Mapping[str, Any]) -> str:
    """The reloadable ones as JSON, for the log."""
    return json.dumps({name: values[name] for name in sorted(values) if name in RELOADABLE})


def _text(value: bool) -> str:
    return "true" if value else "false"


def _list(values: Sequence[str]) -> str:
    return json.dumps(list(values), separators=(",", ":"))
