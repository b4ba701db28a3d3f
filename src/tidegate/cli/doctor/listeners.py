"""Who listens on TCP (/proc/net/tcp, /proc/net/tcp6), and whether a stranger gets a Docker API there.

Looked at are the ports that the net is swept for, and every port that an engine's process holds.
"""

import ipaddress
from collections.abc import Callable, Iterable

import msgspec

from tidegate.cli.doctor.findings import Finding, Report, Severity
from tidegate.cli.doctor.host import Host, Process
from tidegate.cli.doctor.probe import Answer, probe

SWEPT_PORTS = frozenset({2375, 2376, 2377, 4243, 4244})
ENGINES = ("dockerd", "docker", "podman", "tidegate")
DECOY = "tidegate-decoy"
_LISTEN = "0A"
_ANYWHERE = "every address of this host"


class TCPListener(msgspec.Struct, frozen=True):
    """A listening socket; ``inode`` tells whose it is."""

    address: str
    port: int
    inode: int

    @property
    def url(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"tcp://{shown}:{self.port}"

    @property
    def is_local(self) -> bool:
        return ipaddress.ip_address(self.address).is_loopback

    @property
    def reachable_at(self) -> str:
        """An address of our own by which it can be asked."""
        address = ipaddress.ip_address(self.address)
        if address.is_unspecified:
            return "::1" if address.version == 6 else "127.0.0.1"
        return self.address


def parse_listeners(text: str) -> list[TCPListener]:
    """The rows of /proc/net/tcp or tcp6 that listen (proc(5): addresses are words in host order)."""
    found = []
    for row in text.splitlines()[1:]:
        fields = row.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            address, _, port = fields[1].partition(":")
            found.append(TCPListener(_parse_address(address), int(port, 16), int(fields[9])))
    return found


def _parse_address(digits: str) -> str:
    words = (bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def look_at_listeners(host: Host, report: Report, ask: Callable[[str, int], Answer] = probe) -> None:
    """Probe what may be an engine."""
    tables = [host.text("/proc/net/tcp"), host.text("/proc/net/tcp6")]
    if not any(tables):
        report.not_looked_at.append("listening sockets: /proc/net/tcp cannot be read")
        return
    listeners = [listener for table in tables for listener in parse_listeners(table)]
    owners = host.socket_owners({listener.inode for listener in listeners})
    suspects = [each for each in listeners if each.port in SWEPT_PORTS or _is_engine(owners.get(each.inode))]
    for listener in _once_each(suspects):
        report.add(*judge(listener, owners.get(listener.inode), ask(listener.reachable_at, listener.port)))
    report.looked_at.append(f"{len(listeners)} listening TCP sockets")


def judge(listener: TCPListener, owner: Process | None, answer: Answer) -> list[Finding]:
    """What an answer to a stranger means."""
    if owner is not None and owner.name.startswith(DECOY):
        return []
    who = f"{owner.name}, pid {owner.pid}" if owner is not None else "process not visible"
    where = f"{listener.url} ({who})"
    severity = Severity.HIGH if listener.is_local else Severity.CRITICAL
    reach = "every process and container on this host's network" if listener.is_local else "whoever reaches it"
    if answer is Answer.PLAIN_API:
        what = f"The Docker API answers without TLS: {reach} is root on this host"
        mend = f"take `-H {listener.url}` out of the engine's start; serve 2376 with `tidegate gate` or --tlsverify"
        return [Finding("plaintext-api", severity, what, where, mend)]
    if answer is Answer.OPEN_TLS_API:
        what = f"The Docker API answers over TLS without asking for a client certificate: {reach} is root on this host"
        mend = "start the engine with --tlsverify and --tlscacert, not --tls alone"
        return [Finding("tls-without-client-certificate", severity, what, where, mend)]
    if answer is Answer.OTHER and listener.port in (2375, 4243) and not listener.is_local:
        what = "Something listens on a port that the net is swept for; it did not answer as a Docker API"
        return [Finding("swept-port-in-use", Severity.INFO, what, where, "make sure that you know what it is")]
    return []


def _is_engine(owner: Process | None) -> bool:
    return owner is not None and (owner.name.startswith(ENGINES) or "tidegate" in owner.argv[:3])


def _once_each(listeners: Iterable[TCPListener]) -> list[TCPListener]:
    """One for each address and port: workers share a port with SO_REUSEPORT."""
    return list({(listener.address, listener.port): listener for listener in listeners}.values())
