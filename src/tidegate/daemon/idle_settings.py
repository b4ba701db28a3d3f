"""dockerd's settings that are known here and have no effect, each with the reason: a script's flags shall not stop the
start, and nobody shall believe that they did something.
"""

from tidegate.daemon.setting import Kind, Setting

T, F, L, N, M = Kind.TEXT, Kind.FLAG, Kind.LIST, Kind.NUMBER, Kind.MAP

_OVERLAY = "layers are kept in directories and mounted by overlayfs"
_RULES = "published ports are rules of nftables, which are always needed"
_NO_IPV6 = "containers have IPv4 only"
_NO_CONTAINERD = "there is no containerd: a supervisor of our own runs the OCI runtime"
_NO_PROXY = "published ports need no proxy: the firewall leads to containers, from this host too"
_NO_SWARM = "there is no cluster"
_NO_BUILDS = "images are not built here yet"
_NO_PUSH = "images are not pushed yet"
_NO_OWN_NETWORKS = "there are no networks but the predefined ones yet"
_NO_CGROUP_SHARE = "give the share to the engine's own control group, by systemd or by hand"

IDLE_SETTINGS: tuple[Setting, ...] = (
    Setting("allow-direct-routing", "allow-direct-routing", F, idle=_RULES, anyway=(False,)),
    Setting("allow-nondistributable-artifacts", "allow-nondistributable-artifacts", L, idle=_NO_PUSH),
    Setting("api-cors-header", "api-cors-header", T, idle="a browser has no business with an engine"),
    Setting("apparmor-profile", "apparmor-profile", T, idle="the profile is Docker's; a container may name another"),
    Setting("bip6", "bip6", T, idle=_NO_IPV6),
    Setting("bridge-accept-fwmark", "bridge-accept-fwmark", T, idle=_RULES),
    Setting("builder", None, M, idle=_NO_BUILDS),
    Setting("cluster-advertise", "cluster-advertise", T, idle=_NO_SWARM),
    Setting("cluster-store", "cluster-store", T, idle=_NO_SWARM),
    Setting("cluster-store-opts", "cluster-store-opt", M, idle=_NO_SWARM),
    Setting("containerd", "containerd", T, idle=_NO_CONTAINERD),
    Setting("containerd-namespace", "containerd-namespace", T, idle=_NO_CONTAINERD),
    Setting("containerd-plugin-namespace", None, T, idle=_NO_CONTAINERD),
    Setting("containerd-plugins-namespace", "containerd-plugins-namespace", T, idle=_NO_CONTAINERD),
    Setting("cpu-rt-period", "cpu-rt-period", N, idle=_NO_CGROUP_SHARE, anyway=(0,)),
    Setting("cpu-rt-runtime", "cpu-rt-runtime", N, idle=_NO_CGROUP_SHARE, anyway=(0,)),
    Setting("cri-containerd", "cri-containerd", F, idle=_NO_CONTAINERD, anyway=(False,)),
    Setting("default-gateway", "default-gateway", T, idle="the bridge itself is the router of its containers"),
    Setting("default-gateway-v6", "default-gateway-v6", T, idle=_NO_IPV6),
    Setting("default-init", None, T, idle="say init-path"),
    Setting("default-network-opts", "default-network-opt", M, idle=_NO_OWN_NETWORKS),
    Setting("deprecated-key-path", None, T, idle="an engine has no key but those under DATA_ROOT/pki"),
    Setting(
        "disable-legacy-registry",
        "disable-legacy-registry",
        F,
        idle="registries of version 1 are never asked",
        anyway=(True,),
    ),
    Setting(
        "exec-opts",
        "exec-opt",
        L,
        idle="the engine makes control groups itself",
        anyway=(["native.cgroupdriver=cgroupfs"],),
    ),
    Setting("experimental", "experimental", F, idle="nothing here waits to be switched on", anyway=(False,)),
    Setting("features", "feature", M, idle="nothing here waits to be switched on", reloadable=True),
    Setting("firewall-backend", "firewall-backend", T, idle=_RULES, anyway=("nftables",)),
    Setting("fixed-cidr-v6", "fixed-cidr-v6", T, idle=_NO_IPV6),
    Setting(
        "ip-forward-no-drop",
        "ip-forward-no-drop",
        F,
        idle="the host's policy for forwarding is never changed",
        anyway=(True,),
    ),
    Setting("ip6tables", "ip6tables", F, idle=_NO_IPV6, anyway=(True, False)),
    Setting("iptables", "iptables", F, idle=_RULES, anyway=(True,)),
    Setting("ipv6", "ipv6", F, idle=_NO_IPV6, anyway=(False,)),
    Setting("max-concurrent-uploads", "max-concurrent-uploads", N, idle=_NO_PUSH, reloadable=True),
    Setting("network-control-plane-mtu", "network-control-plane-mtu", N, idle=_NO_SWARM),
    Setting("network-diagnostic-port", "network-diagnostic-port", N, idle=_NO_SWARM, anyway=(0,)),
    Setting("node-generic-resources", "node-generic-resource", L, idle=_NO_SWARM),
    Setting(
        "oom-score-adjust",
        "oom-score-adjust",
        N,
        idle="Docker has dropped it too: say OOMScoreAdjust in the unit of systemd",
        anyway=(0,),
    ),
    Setting(
        "raw-logs", "raw-logs", F, idle="lines of the log have whole timestamps and no colours", anyway=(True, False)
    ),
    Setting("resolv-conf", None, T, idle="containers are given what the host's /etc/resolv.conf says, or dns"),
    Setting(
        "rootless", "rootless", F, idle="an engine runs as root here, and its front door as nobody", anyway=(False,)
    ),
    Setting("selinux-enabled", "selinux-enabled", F, idle="containers are not labelled for SELinux", anyway=(False,)),
    Setting("storage-driver", "storage-driver", T, idle=_OVERLAY, short="s", anyway=("overlay2", "overlayfs")),
    Setting("storage-opts", "storage-opt", L, idle=_OVERLAY),
    Setting("swarm-default-advertise-addr", "swarm-default-advertise-addr", T, idle=_NO_SWARM),
    Setting("swarm-raft-election-tick", None, N, idle=_NO_SWARM, anyway=(0,)),
    Setting("swarm-raft-heartbeat-tick", None, N, idle=_NO_SWARM, anyway=(0,)),
    Setting("userland-proxy", "userland-proxy", F, idle=_NO_PROXY, anyway=(False,)),
    Setting("userland-proxy-path", "userland-proxy-path", T, idle=_NO_PROXY),
)
