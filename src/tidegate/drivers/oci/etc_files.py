"""The files of ``/etc`` that the engine provides: hostname, hosts and resolv.conf, in the container's directory.

The texts are worked out by pure functions. A running container has the files mounted, so that they are changed in
place: a new file would be another than the one it sees.

Source: moby's libnetwork/etchosts and libnetwork/resolvconf.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tidegate.engine.links.names import HOST_GATEWAY, split_extra_host
from tidegate.engine.links.table import LinkedContainer
from tidegate.engine.ports import BridgeAttachment
from tidegate.spec.container import HostConfig

NAMES = ("hostname", "hosts", "resolv.conf")


def write_etc_files(home: Path, texts: Mapping[str, str]) -> Mapping[str, str]:
    """Write ``texts`` by name into ``home``; returns container path to host path."""
    for name, text in texts.items():
        path = home / name
        path.write_text(text)
        path.chmod(0o644)
    return etc_paths(home)


def etc_paths(home: Path) -> Mapping[str, str]:
    """Where the files of a container are: container path to host path."""
    return {f"/etc/{name}": str(home / name) for name in NAMES}


def hosts_text(
    names: Sequence[str],
    extra: Iterable[str],
    attachment: BridgeAttachment | None,
    linked: Iterable[LinkedContainer] = (),
    host_gateway: str = "",
) -> str:
    """``/etc/hosts``; ``names`` are the container's own, ``host-gateway`` is ``host_gateway``.

    Raises InvalidParameterError for a malformed extra host.
    """
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    for entry in extra:
        name, address = split_extra_host(entry)
        if address == HOST_GATEWAY:
            address = host_gateway
        lines.append(f"{address}\t{name}")
    lines += [f"{each.address}\t{' '.join(each.names)}" for each in linked]
    if attachment is not None:
        lines.append(f"{attachment.address}\t{' '.join(names)}")
    return "\n".join(lines) + "\n"


def own_names(hostname: str, domainname: str) -> Sequence[str]:
    """What a container calls itself: its full name first, then the bare one where that is another."""
    full = f"{hostname}.{domainname}" if domainname else hostname
    bare = full.partition(".")[0]
    return [full] if bare == full else [full, bare]


def with_address(hosts: str, alias: str, address: str) -> str:
    """``hosts`` with the line of a linked container leading to where that is now."""
    return "".join(
        f"{address}\t{line.split(None, 1)[1]}" if _is_of(line, alias) else line
        for line in hosts.splitlines(keepends=True)
    )


def without_alias(hosts: str, alias: str) -> str:
    """``hosts`` without the line of a linked container."""
    return "".join(line for line in hosts.splitlines(keepends=True) if not _is_of(line, alias))


def _is_of(line: str, alias: str) -> bool:
    return line.split("#")[0].split()[1:2] == [alias]


def resolv_conf_text(host: HostConfig, source: Path, *, on_host: bool) -> str:
    """``/etc/resolv.conf``: the host's, less its loopback servers off the host's network, with what the client set."""
    try:
        lines = source.read_text().splitlines()
    except FileNotFoundError:
        lines = []
    if host.dns:
        lines = [line for line in lines if not line.startswith("nameserver")]
        lines += [f"nameserver {server}" for server in host.dns]
    elif not on_host:
        lines = [line for line in lines if not line.startswith(("nameserver 127.", "nameserver ::1"))]
    if host.dns_search:
        lines = [line for line in lines if not line.startswith(("search", "domain"))]
        lines += [f"search {' '.join(host.dns_search)}"] if host.dns_search != (".",) else []
    if host.dns_options:
        lines = [line for line in lines if not line.startswith("options")] + [f"options {' '.join(host.dns_options)}"]
    return "\n".join(lines) + "\n"
