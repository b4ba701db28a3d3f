"""What the wire shows of a container: inspect, and a row of the list. Its network is in ``endpoints``, its mounts in
``mounts``.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from tidegate.api.profile import ApiProfile
from tidegate.api.views.endpoints import endpoint_view, network_settings_view, networks_view, port_rows
from tidegate.api.views.mounts import mounts_view
from tidegate.engine.containers.inspection import Inspection
from tidegate.engine.isolation.security_options import parse_security_options
from tidegate.engine.ports import BridgeAttachment
from tidegate.model.container import Container
from tidegate.model.health import Health
from tidegate.model.lifecycle import seen_phase
from tidegate.model.phases import ALIVE, Phase, State
from tidegate.spec.codec import document
from tidegate.spec.stored import stored_request
from tidegate.spec.timestamps import format_time

ZERO_TIME = "0001-01-01T00:00:00Z"
_STATUS = {
    Phase.CREATING: "created", Phase.CREATED: "created", Phase.RUNNING: "running",
    Phase.STOPPING: "running", Phase.PAUSED: "paused", Phase.RESTARTING: "restarting", Phase.EXITED: "exited",
    Phase.REMOVING: "removing", Phase.DEAD: "dead",
}  # fmt: skip


def status_of(state: State) -> str:
    """Docker's word for the phase."""
    return _STATUS[seen_phase(state)]


def inspect_view(found: Inspection, profile: ApiProfile) -> dict[str, Any]:
    """GET /containers/{id}/json."""
    container, directory = found.container, found.directory
    request = stored_request(container.document)
    config = cast(dict[str, Any], document(request))
    host_config = config.pop("HostConfig")
    config.pop("NetworkingConfig", None)
    config.pop("MacAddress", None)
    if profile.container_wide_mac_address and container.settings.mac_address:
        config["MacAddress"] = container.settings.mac_address
    config["Hostname"] = request.hostname or container.id[:12]
    config["Image"] = container.image
    host_config["ConsoleSize"] = host_config["ConsoleSize"] or [0, 0]
    host_config["NetworkMode"] = container.settings.network
    host_config["Links"] = list(found.links) or None
    args = [*(request.entrypoint or ()), *(request.cmd or ())]
    return {
        "Id": container.id,
        "Created": format_time(container.created_at_ns),
        "Path": args[0] if args else "",
        "Args": args[1:],
        "State": state_view(container.state),
        "Image": container.image_id,
        "ResolvConfPath": str(directory / "resolv.conf"),
        "HostnamePath": str(directory / "hostname"),
        "HostsPath": str(directory / "hosts"),
        "LogPath": str(found.log_path or ""),
        "Name": f"/{container.name}",
        "RestartCount": container.state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": parse_security_options(request.host_config.security_opt).apparmor,
        "ExecIDs": list(found.exec_ids) or None,
        "HostConfig": host_config,
        "GraphDriver": {"Name": "overlay2", "Data": {}},
        "Mounts": mounts_view(container, found.volume_path),
        "Config": config,
        "NetworkSettings": network_settings_view(container, request, found.attachment, found.network_id),
    }


def state_view(state: State) -> dict[str, Any]:
    """``State`` of inspect."""
    phase = seen_phase(state)
    alive = phase in ALIVE
    health = {"Health": health_view(state.health)} if state.health is not None else {}
    return {
        "Status": _STATUS[phase],
        "Running": alive or phase is Phase.RESTARTING,
        "Paused": phase is Phase.PAUSED,
        "Restarting": phase is Phase.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": state.phase is Phase.DEAD,
        "Pid": state.pid if alive else 0,
        "ExitCode": 0 if alive else state.exit_code,
        "Error": state.error,
        "StartedAt": format_time(state.started_at_ns) if state.started_at_ns else ZERO_TIME,
        "FinishedAt": format_time(state.finished_at_ns) if state.finished_at_ns else ZERO_TIME,
        **health,
    }


def health_view(health: Health) -> dict[str, Any]:
    """``State.Health`` of inspect."""
    return {
        "Status": health.status,
        "FailingStreak": health.failing_streak,
        "Log": [
            {
                "Start": format_time(result.started_at_ns),
                "End": format_time(result.ended_at_ns),
                "ExitCode": result.exit_code,
                "Output": result.output,
            }
            for result in health.results
        ],
    }


def health_status_of(state: State) -> str:
    """Docker's word for the health; ``none`` without a check."""
    return state.health.status if state.health is not None else "none"


def summary_view(
    container: Container,
    attachment: BridgeAttachment | None,
    network_id: str,
    status: str,
    volume_path: Callable[[str], Path],
    link_names: Sequence[str] = (),
) -> dict[str, Any]:
    """A row of GET /containers/json; ``status`` is the text of ``status_text``, ``link_names`` are further names."""
    request = stored_request(container.document)
    network, annotations = container.settings.network, request.host_config.annotations
    return {
        "Id": container.id,
        "Names": [f"/{container.name}", *link_names],
        "Image": container.image,
        "ImageID": container.image_id,
        "Command": command_text([*(request.entrypoint or ()), *(request.cmd or ())]),
        "Created": container.created_at_ns // 1_000_000_000,
        "Ports": port_rows(request, attachment),
        "Labels": dict(container.labels),
        "State": status_of(container.state),
        "Status": status,
        "HostConfig": {"NetworkMode": network, **({"Annotations": annotations} if annotations else {})},
        "NetworkSettings": {"Networks": networks_view(container, endpoint_view(container, attachment, network_id))},
        "Mounts": mounts_view(container, volume_path),
        "Health": {
            "Status": health_status_of(container.state) if container.state.phase in ALIVE else "none",
            "FailingStreak": container.state.health.failing_streak if container.state.health else 0,
        },
    }


def command_text(words: Sequence[str]) -> str:
    """The command as one text; an argument with a space is quoted, as Docker does it."""
    program, *arguments = words or [""]
    return " ".join([program, *(f"'{word}'" if " " in word else word for word in arguments)])


def status_text(state: State, now_ns: int) -> str:
    """``Up 3 minutes``, ``Exited (0) 2 hours ago``, ``Created``."""
    match status_of(state):
        case "running":
            return f"Up {human_duration(now_ns - state.started_at_ns)}{_health_text(state)}"
        case "paused":
            return f"Up {human_duration(now_ns - state.started_at_ns)} (Paused)"
        case "restarting":
            return f"Restarting ({state.exit_code}) {human_duration(now_ns - state.finished_at_ns)} ago"
        case "exited":
            return f"Exited ({state.exit_code}) {human_duration(now_ns - state.finished_at_ns)} ago"
        case "removing":
            return "Removal In Progress"
        case "dead":
            return "Dead"
    return "Created"


def _health_text(state: State) -> str:
    match health_status_of(state):
        case "none":
            return ""
        case "starting":
            return " (health: starting)"
        case status:
            return f" ({status})"


def human_duration(nanoseconds: int) -> str:
    """As Docker's go-units says it."""
    seconds = nanoseconds // 1_000_000_000
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    minutes = seconds // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = (seconds + 1800) // 3600
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    return f"{days // 30} months" if days < 730 else f"{days // 365} years"
