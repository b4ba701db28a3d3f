"""Kernel parameters that a container may set: those of a namespace of its own. Pure.

Source: runc's libcontainer/configs/validate, whose words these are; sysctl(8), ipc_namespaces(7).
"""

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.container import HostConfig

_OF_IPC = frozenset(
    [
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
        "kernel.shmmni", "kernel.shm_rmid_forced",
    ]
)  # fmt: skip


def check_sysctls(host: HostConfig) -> None:
    """Raises InvalidParameterError for one that would be the host's."""
    for name in host.sysctls:
        namespace, mode = _namespace(name.replace("/", "."), host)
        if not namespace:
            raise InvalidParameterError(f'sysctl "{name}" is not in a separate kernel namespace')
        if mode == "host":
            raise InvalidParameterError(f'sysctl "{name}" is not allowed in the hosts {namespace} namespace')


def _namespace(name: str, host: HostConfig) -> tuple[str, str]:
    """Which namespace a parameter belongs to, and the container's mode of it; none for the host's own."""
    if name in _OF_IPC or name.startswith("fs.mqueue."):
        return "ipc", host.ipc_mode
    if name.startswith("net."):
        return "network", host.network_mode
    if name == "kernel.domainname":
        return "uts", host.uts_mode
    return "", ""
