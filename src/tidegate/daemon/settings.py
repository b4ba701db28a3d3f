"""Every setting of ``tidegate up``: dockerd's flags and daemon.json keys, and our own, as one literal table.

A row says how the setting is written on the command line and in the file, and of what kind its value is. Those of
Docker that have no effect here are in ``idle_settings``, each with the reason. Reading values is ``daemon/config.py``;
``docs/configuration.md`` shows the table. Source: dockerd(8) and the reference of daemon.json (moby 29).
"""

from tidegate.daemon.idle_settings import IDLE_SETTINGS
from tidegate.daemon.setting import Kind, Setting

__all__ = ["GATE_SETTINGS", "SETTINGS", "Kind", "Setting"]

T, F, L, N, M = Kind.TEXT, Kind.FLAG, Kind.LIST, Kind.NUMBER, Kind.MAP

SETTINGS: tuple[Setting, ...] = (
    Setting("hosts", "host", L, short="H", help="listen here: unix://PATH, tcp://ADDRESS:PORT"),
    Setting("tls", "tls", F, help="use TLS on tcp hosts; implied by tlsverify"),
    Setting("tlsverify", "tlsverify", F, help="use TLS and require a client certificate"),
    Setting("tlscacert", "tlscacert", T, help="trust client certificates signed by this CA"),
    Setting("tlscert", "tlscert", T, help="the server's certificate"),
    Setting("tlskey", "tlskey", T, help="the server's key"),
    Setting("tls-crls", "tls-crl", L, help="a revocation list of a CA in tlscacert; read again when it changes"),
    Setting(
        "tls-ocsp",
        "tls-ocsp",
        T,
        help="ask this OCSP responder about certificates of tlscacert: a URL, or from-certificate",
    ),
    Setting(
        "tls-ocsp-unreachable", "tls-ocsp-unreachable", T, help="without its answer: refuse (the default) or admit"
    ),
    Setting("tls-profile", "tls-profile", T, help="modern (TLS 1.3, the default) or intermediate (TLS 1.2 too)"),
    Setting(None, "tls-san", L, help="a further name or address for the server certificate"),
    Setting(None, "allow-plaintext", T, help="allow tcp hosts without TLS: loopback, or public"),
    Setting("default-role", "default-role", T, help="the role of clients that nothing gives one; none unless named"),
    Setting(
        "authorization-plugins",
        "authorization-plugin",
        L,
        help="ask this plugin of Docker's about each request",
        reloadable=True,
    ),
    Setting(
        "gate-sockets",
        "gate-socket",
        L,
        help="a unix socket with one role, before the gate: PATH,role=ROLE[,mode=0660][,group=NAME]",
    ),
    Setting(
        "gate-workers",
        "gate-workers",
        N,
        help="processes of the gate (default: one for each two processors, at most 4)",
    ),
    Setting("data-root", "data-root", T, help="persistent state (default /var/lib/tidegate)"),
    Setting("exec-root", "exec-root", T, help="run-time state (default /run/tidegate)"),
    Setting(None, "config-file", T, help="a daemon.json with Docker's keys; none is read unless named"),
    Setting(None, "validate", F, help="say whether the settings can be used, and exit"),
    Setting(None, "audit", T, help="where the gate records what it decides: file (default), journald or syslog"),
    Setting(None, "audit-files", N, help="how many files of 64 MB to keep of each worker's audit (default 0: all)"),
    Setting(
        None,
        "decoy",
        T,
        help="answer strangers here as a lonely engine that runs nothing and records all (0.0.0.0:2375)",
    ),
    Setting("pidfile", "pidfile", T, short="p", help="write the process id here"),
    Setting("log-level", "log-level", T, short="l", help="debug, info, warn, error or fatal", reloadable=True),
    Setting("debug", "debug", F, short="D", help="the same as --log-level debug", reloadable=True),
    Setting("log-format", "log-format", T, help="what the processes log: text, or json with fields"),
    Setting(
        "metrics-addr",
        "metrics-addr",
        T,
        help="serve figures for Prometheus here, ADDRESS:PORT: on loopback, unless --allow-plaintext=public",
    ),
    Setting("labels", "label", L, help="KEY=VALUE that clients are told of this engine", reloadable=True),
    Setting("registry-mirrors", "registry-mirror", L, help="ask this mirror before Docker Hub", reloadable=True),
    Setting(
        "insecure-registries",
        "insecure-registry",
        L,
        help="speak plain HTTP, or TLS unverified, to this registry",
        reloadable=True,
    ),
    Setting(
        "max-concurrent-downloads",
        "max-concurrent-downloads",
        N,
        help="layers that a pull fetches at once (default 3)",
        reloadable=True,
    ),
    Setting(
        "max-download-attempts",
        "max-download-attempts",
        N,
        help="how often a download is begun before it is given up (default 5)",
        reloadable=True,
    ),
    Setting("proxies", None, M, help="http-proxy, https-proxy and no-proxy as one object"),
    Setting(None, "http-proxy", T, help="reach registries of http through this proxy"),
    Setting(None, "https-proxy", T, help="reach registries of https through this proxy"),
    Setting(
        None, "no-proxy", T, help="hosts, domains and networks that are reached without a proxy, separated by commas"
    ),
    Setting(
        "live-restore",
        "live-restore",
        F,
        help="leave containers running when the engine stops (the default)",
        reloadable=True,
    ),
    Setting(None, "no-live-restore", F, help="stop every container when the engine stops"),
    Setting("bridge", "bridge", T, short="b", help="name of the default bridge"),
    Setting("bip", "bip", T, help="address of the default bridge, in CIDR notation"),
    Setting("fixed-cidr", "fixed-cidr", T, help="give containers addresses of this part of the bridge's subnet only"),
    Setting(
        "default-address-pools",
        "default-address-pool",
        Kind.OBJECTS,
        help="where subnets of bridges are taken from: base=172.30.0.0/16,size=24",
    ),
    Setting("mtu", "mtu", N, help="MTU of the default bridge (default 1500)"),
    Setting(
        "icc",
        "icc",
        F,
        help="let containers of the default bridge reach each other (the default), not by published ports only",
    ),
    Setting("ip-masq", "ip-masq", F, help="hide containers behind the host's address (the default)"),
    Setting("ip-forward", "ip-forward", F, help="have the kernel forward IPv4 (the default)"),
    Setting("ip", "ip", T, help="publish ports on this address of the host unless the container says another"),
    Setting(
        "host-gateway-ips", "host-gateway-ip", L, help="what host-gateway stands for in --add-host, if not the bridge"
    ),
    Setting("host-gateway-ip", None, T, help="the former name of host-gateway-ips"),
    Setting("dns", "dns", L, help="name server of containers that do not say"),
    Setting("dns-opts", "dns-opt", L, help="option of resolv.conf for containers that do not say"),
    Setting("dns-search", "dns-search", L, help="search domain of containers that do not say"),
    Setting("init-path", "init-path", T, help="the init program (default: docker-init, tini-static or catatonit)"),
    Setting("seccomp-profile", "seccomp-profile", T, help="of containers that do not say: a file, builtin, unconfined"),
    Setting("init", "init", F, help="run an init in containers that do not say"),
    Setting(
        "userns-remap",
        "userns-remap",
        T,
        help="a user namespace for containers that do not say --userns=host: default, USER[:GROUP] or UID[:GID], with "
        "the ids that /etc/subuid and /etc/subgid give them",
    ),
    Setting("no-new-privileges", "no-new-privileges", F, help="so, unless a container says otherwise"),
    Setting(
        "cgroup-parent", "cgroup-parent", T, help="control group of the containers, if not one named as the bridge"
    ),
    Setting(
        "default-runtime",
        "default-runtime",
        T,
        help="OCI runtime of containers that do not say (default crun)",
        reloadable=True,
    ),
    Setting(
        "runtimes", "add-runtime", M, help="a further OCI runtime with runc's command line: NAME=PATH", reloadable=True
    ),
    Setting("cdi-spec-dirs", "cdi-spec-dir", L, help="where devices are described (/etc/cdi and /var/run/cdi)"),
    Setting("default-ipc-mode", "default-ipc-mode", T, help="of containers that do not say: private or shareable"),
    Setting(
        "default-shm-size", "default-shm-size", T, help="shared memory of containers that do not say (default 64m)"
    ),
    Setting("default-ulimits", "default-ulimit", M, help="limits of processes unless a container says otherwise"),
    Setting("group", "group", T, short="G", help="group that owns the unix socket"),
    Setting("log-opts", "log-opt", M, help="an option of the log driver, NAME=VALUE"),
    Setting("log-driver", "log-driver", T, help="json-file (default), local, journald, syslog, fluentd, gelf or none"),
    Setting(
        "default-cgroupns-mode",
        "default-cgroupns-mode",
        T,
        help="cgroup namespace of containers that do not say: private (the default on cgroup v2) or host",
    ),
    Setting(
        "restart-unhealthy",
        "restart-unhealthy",
        F,
        help="restart a container that its health check finds unhealthy, unless its label "
        "io.tidegate.restart-on-unhealthy is false",
    ),
    Setting("shutdown-timeout", "shutdown-timeout", N, help="seconds that containers get to stop", reloadable=True),
    *IDLE_SETTINGS,
)

# What is the gate's too when it stands before an engine of somebody else's (``tidegate gate``).
_OF_A_GATE = frozenset(
    {
        "hosts", "tls", "tlsverify", "tlscacert", "tlscert", "tlskey", "tls-san", "tls-profile", "allow-plaintext",
        "default-role", "authorization-plugins", "gate-sockets", "gate-workers", "data-root", "exec-root",
        "config-file", "validate", "audit", "audit-files", "decoy", "pidfile", "log-level", "log-format",
        "metrics-addr", "debug",
    }
)  # fmt: skip
GATE_SETTINGS: tuple[Setting, ...] = tuple(setting for setting in SETTINGS if setting.name in _OF_A_GATE)
