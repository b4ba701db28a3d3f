"""Kernel parameters: the container's own are let through, the host's are not."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.creation.sysctls import check_sysctls
from tidegate.spec.container import HostConfig


def test_parameters_of_own_namespaces_are_let_through() -> None:
    names = ["net.core.somaxconn", "net/ipv4/ip_forward", "kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname"]
    check_sysctls(HostConfig(sysctls=dict.fromkeys(names, "1")))


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        (HostConfig(sysctls={"kernel.panic": "1"}), '"kernel.panic" is not in a separate kernel namespace'),
        (HostConfig(sysctls={"vm.swappiness": "1"}), '"vm.swappiness" is not in a separate'),
        (HostConfig(sysctls={"kernel.hostname": "x"}), '"kernel.hostname" is not in a separate'),
        (HostConfig(sysctls={"net.core.somaxconn": "1"}, network_mode="host"), "the hosts network namespace"),
        (HostConfig(sysctls={"net/core/somaxconn": "1"}, network_mode="host"), "the hosts network namespace"),
        (HostConfig(sysctls={"kernel.sem": "1"}, ipc_mode="host"), "the hosts ipc namespace"),
        (HostConfig(sysctls={"kernel.domainname": "x"}, uts_mode="host"), "the hosts uts namespace"),
    ],
)
def test_parameters_of_the_host_are_refused(host: HostConfig, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        check_sysctls(host)
