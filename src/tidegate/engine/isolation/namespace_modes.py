"""``IpcMode``, ``PidMode``, ``UTSMode``, ``CgroupnsMode``, ``UsernsMode``: their values, and what they exclude.

- ``container:X`` joins the namespace of another container; ``engine/creation/joining.py`` resolves who that is.
- An IPC namespace can be joined when its shared memory can be: ``shareable`` ones have ``/dev/shm`` mounted by the
  engine, ``private`` ones by the runtime, out of reach; ``none`` has no ``/dev/shm`` at all.

Source: moby's api/types/container/hostconfig.go, runconfig/hostconfig_unix.go and daemon.getIPCContainer.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.model.container import JOINS, Container
from tidegate.model.phases import Phase
from tidegate.spec.container import CreateRequest, HostConfig
from tidegate.spec.stored import stored_request

Find = Callable[[str], Container]
IPC_DEFAULTS = ("private", "shareable")
_MODES = {
    "ipc_mode": ("IPC", ("", "none", "private", "shareable", "host")),
    "pid_mode": ("PID", ("", "host")),
    "uts_mode": ("UTS", ("", "host")),
    "cgroupns_mode": ("cgroup namespace", ("", "host", "private")),
    "userns_mode": ("user namespace", ("", "host")),
}
_JOINABLE = frozenset({"ipc_mode", "pid_mode"})
_ALIVE = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.STOPPING})


class IPC(NamedTuple):
    """Where shared memory and message queues are: ``own``, the ``host``'s, or ``joined`` from the container ``of``.

    ``memory`` says who mounts ``/dev/shm``: the ``runtime``, the ``engine`` (so that others can have it), or nobody.
    """

    namespace: Literal["own", "host", "joined"]
    memory: Literal["runtime", "engine", "none"]
    of: Container | None = None


def check_modes(request: CreateRequest) -> None:
    """Raises InvalidParameterError for a mode that there is not, or one that another option conflicts with."""
    host = request.host_config
    for field, (what, modes) in _MODES.items():
        mode: str = getattr(host, field)
        joins = field in _JOINABLE and mode.startswith(JOINS) and mode != JOINS
        if mode not in modes and not joins:
            raise InvalidParameterError(f"invalid {what} mode: {mode}")
    if host.uts_mode == "host" and request.hostname:
        raise InvalidParameterError("conflicting options: hostname and the UTS mode")


def ipc_of(host: HostConfig, find: Find) -> IPC:
    """What a start makes of ``IpcMode``. Raises ConflictError for a container that cannot be joined now."""
    mode = host.ipc_mode
    if mode == "host":
        return IPC("host", "none")
    if mode == "none":
        return IPC("own", "none")
    if mode == "shareable":
        return IPC("own", "engine")
    if not mode.startswith(JOINS):
        return IPC("own", "runtime")
    return _joined(mode.removeprefix(JOINS), find)


def _joined(identity: str, find: Find) -> IPC:
    try:
        other = find(identity)
    except NotFoundError as error:
        raise ConflictError(f"cannot join IPC of a removed container: {identity}") from error
    if other.state.phase not in _ALIVE:
        raise ConflictError(f"cannot join IPC of a non running container: {identity}")
    theirs = ipc_of(stored_request(other.document).host_config, find)
    if theirs.namespace == "host":
        return theirs
    if theirs.namespace == "joined":
        return theirs
    if theirs.memory != "engine":
        raise ConflictError(
            f"cannot join IPC of container {identity}: non-shareable IPC "
            "(hint: use IpcMode:shareable for the donor container)"
        )
    return IPC("joined", "engine", other)
