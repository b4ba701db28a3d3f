"""What the files say of a device, made of a container's OCI configuration.

``inject_devices`` reads the files and looks device nodes up; ``apply_edits`` is pure but for that.

Source: SPEC.md of cncf-tags/container-device-interface, "containerEdits"; config-linux.md for devices.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.cdi.specs import DeviceNode, Edits, Hook, Mount, read_devices
from tidegate.engine.isolation.device_requests import plan_cdi_names
from tidegate.spec.container import DeviceRequest

HOOKS = frozenset({"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"})
_FAILED = "CDI device injection failed"


def inject_devices(
    config: dict[str, Any], requests: Sequence[DeviceRequest], directories: Sequence[Path], *, every_device: bool
) -> None:
    """Change ``config``; ``every_device``: its rules admit all as it is.

    Raises InvalidParameterError in Docker's words for a device that is not described.
    """
    if not requests:
        return
    known = read_devices(directories)
    names = plan_cdi_names(requests, known.by_name.keys())
    unresolved = [name for name in names if name not in known.by_name]
    if unresolved:
        reasons = f" ({'; '.join(known.problems)})" if known.problems else ""
        raise InvalidParameterError(f"{_FAILED}: unresolvable CDI devices {', '.join(unresolved)}{reasons}")
    done: set[Path] = set()
    for name in names:
        device = known.by_name[name]
        for edits in (device.edits, *(() if device.source in done else (device.common,))):
            apply_edits(config, edits, every_device=every_device)
        done.add(device.source)


def apply_edits(config: dict[str, Any], edits: Edits, *, every_device: bool) -> None:
    """Raises InvalidParameterError for a node that is not on this host, or a hook that there is not."""
    process, linux = config["process"], config["linux"]
    replaced = {entry.partition("=")[0] for entry in edits.env}
    process["env"] = [entry for entry in process["env"] if entry.partition("=")[0] not in replaced] + list(edits.env)
    for node in edits.device_nodes:
        device = _oci_device(node)
        linux["devices"] = [each for each in linux["devices"] if each["path"] != device["path"]] + [device]
        if not every_device:
            rule = {name: device[name] for name in ("type", "major", "minor")}
            linux["resources"]["devices"].append({"allow": True, **rule, "access": node.permissions or "rwm"})
    for mount in edits.mounts:
        config["mounts"] = [each for each in config["mounts"] if each["destination"] != mount.container_path]
        config["mounts"].append(_oci_mount(mount))
    for hook in edits.hooks:
        if hook.hook_name not in HOOKS:
            raise InvalidParameterError(f"{_FAILED}: invalid hook name {hook.hook_name!r}")
        config.setdefault("hooks", {}).setdefault(hook.hook_name, []).append(_oci_hook(hook))
    if edits.intel_rdt is not None:
        linux["intelRdt"] = edits.intel_rdt
    groups = process["user"].setdefault("additionalGids", [])
    groups += [gid for gid in edits.additional_gids if gid not in groups]


def _oci_device(node: DeviceNode) -> dict[str, Any]:
    kind, major, minor = node.type, node.major, node.minor
    if not kind or (kind != "p" and major is None):
        kind, major, minor = _look_up(node.host_path or node.path)
    optional = {"fileMode": node.file_mode, "uid": node.uid, "gid": node.gid}
    return {
        "path": node.path,
        "type": kind,
        "major": major or 0,
        "minor": minor or 0,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _look_up(path: str) -> tuple[str, int, int]:
    try:
        facts = os.stat(path)  # noqa: PTH116 - a path of the host, as the file has it
    except OSError as error:
        raise InvalidParameterError(f"{_FAILED}: failed to stat CDI host device {path!r}: {error.strerror}") from error
    kind = "b" if stat.S_ISBLK(facts.st_mode) else "c" if stat.S_ISCHR(facts.st_mode) else ""
    if not kind:
        raise InvalidParameterError(f"{_FAILED}: {path!r} is not a device node")
    return kind, os.major(facts.st_rdev), os.minor(facts.st_rdev)


def _oci_mount(mount: Mount) -> Mapping[str, Any]:
    options = list(mount.options)
    if not mount.type and not {"bind", "rbind"} & set(options):
        options.append("rbind")
    return {
        "destination": mount.container_path,
        "type": mount.type or "bind",
        "source": mount.host_path,
        "options": options,
    }


def _oci_hook(hook: Hook) -> Mapping[str, Any]:
    optional = {"args": list(hook.args), "env": list(hook.env), "timeout": hook.timeout}
    return {"path": hook.path, **{name: value for name, value in optional.items() if value}}
