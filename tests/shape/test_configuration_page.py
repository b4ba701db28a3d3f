"""docs/configuration.md shows the table of settings; it is made here, and the table must know every key of Docker's.

``TIDEGATE_UPDATE=1 make test-one T=tests/shape/test_configuration_page.py`` writes it anew.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from tidegate.daemon.idle_settings import IDLE_SETTINGS
from tidegate.daemon.settings import GATE_SETTINGS, SETTINGS, Kind, Setting

PAGE = Path(__file__).resolve().parents[2] / "docs/configuration.md"
BEGIN = "<!-- The tables below are made from the settings by tests/shape/test_configuration_page.py. -->\n"

# moby 29: the fields of its configuration, and dockerd's flags (docs/reference/dockerd.md of docker/cli).
_KEYS = """
    allow-direct-routing allow-nondistributable-artifacts api-cors-header apparmor-profile authorization-plugins
    bip bip6 bridge bridge-accept-fwmark builder cdi-spec-dirs cgroup-parent containerd containerd-namespace
    containerd-plugin-namespace containerd-plugins-namespace cpu-rt-period cpu-rt-runtime cri-containerd
    data-root debug default-address-pools default-cgroupns-mode default-gateway default-gateway-v6 default-init
    default-ipc-mode default-network-opts default-runtime default-shm-size default-ulimits deprecated-key-path
    dns dns-opts dns-search exec-opts exec-root experimental features firewall-backend fixed-cidr fixed-cidr-v6
    group host-gateway-ip host-gateway-ips hosts icc init init-path insecure-registries ip ip-forward
    ip-forward-no-drop ip-masq ip6tables iptables ipv6 labels live-restore log-driver log-format log-level
    log-opts max-concurrent-downloads max-concurrent-uploads max-download-attempts metrics-addr mtu
    network-control-plane-mtu network-diagnostic-port no-new-privileges node-generic-resources oom-score-adjust
    pidfile proxies raw-logs registry-mirrors resolv-conf rootless runtimes seccomp-profile selinux-enabled
    shutdown-timeout storage-driver storage-opts swarm-default-advertise-addr swarm-raft-election-tick
    swarm-raft-heartbeat-tick tls tlscacert tlscert tlskey tlsverify userland-proxy userland-proxy-path
    userns-remap
"""
DOCKERS_KEYS = frozenset(_KEYS.split())


def row(setting: Setting, last: str) -> str:
    """A line of a table."""
    key = f"`{setting.key}`" if setting.key else ""
    flag = f"`--{setting.flag}`" if setting.flag else ""
    flag += f", `-{setting.short}`" if setting.short else ""
    kind = {Kind.FLAG: "true or false", Kind.MAP: "object", Kind.OBJECTS: "list of objects"}
    return f"| {key} | {flag} | {kind.get(setting.kind, setting.kind.value)} | {last} |"


def notes(setting: Setting) -> str:
    """What the setting does, and what else is true of it."""
    marks = ["gate"] if setting in GATE_SETTINGS else []
    marks += ["reload"] if setting.reloadable else []
    return setting.help[:1].upper() + setting.help[1:] + (f" ({', '.join(marks)})" if marks else "")


def tables() -> str:
    """Both tables."""
    idle = {setting.name for setting in IDLE_SETTINGS}
    honoured: Iterable[Setting] = (setting for setting in SETTINGS if setting.name not in idle)
    lines = ["", "## Settings", "", "| key | flag | value | what it does |", "|---|---|---|---|"]
    lines += [row(setting, notes(setting)) for setting in sorted(honoured, key=lambda each: each.name)]
    lines += ["", "## Known to Docker, without effect here", "", "| key | flag | value | why |", "|---|---|---|---|"]
    for setting in IDLE_SETTINGS:
        fits = ", ".join(f"`{str(value).lower()}`" for value in setting.anyway)
        lines.append(
            row(setting, setting.idle[:1].upper() + setting.idle[1:] + (f"; no warning for {fits}" if fits else ""))
        )
    return "\n".join(lines) + "\n"


def test_the_page_shows_the_settings() -> None:
    written, _, _ = PAGE.read_text().partition(BEGIN)
    page = written + BEGIN + tables()
    if os.environ.get("TIDEGATE_UPDATE"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page


def test_every_key_of_dockers_is_known() -> None:
    assert sorted(DOCKERS_KEYS - {setting.key for setting in SETTINGS}) == []


def test_each_setting_is_written_in_one_way() -> None:
    for names in ([each.key for each in SETTINGS], [each.flag for each in SETTINGS], [each.short for each in SETTINGS]):
        given = [name for name in names if name]
        assert len(given) == len(set(given))
    assert list(IDLE_SETTINGS) == sorted(IDLE_SETTINGS, key=lambda each: each.name)
    assert all(setting.help or setting.idle for setting in SETTINGS)
