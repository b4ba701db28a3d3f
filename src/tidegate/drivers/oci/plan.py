"""What runs: a container's record, and an exec's document, as OCI processes for the runtime.

Fits ``engine.effects.Planner`` and ``engine.execs.PlanExec``. The files of ``/etc`` that the engine
provides lie with the log in the container's own directory beside its layers, so that they go with it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.drivers.apparmor import AppArmor
from tidegate.drivers.cdi.injection import inject_devices
from tidegate.drivers.cdi.specs import DEFAULT_DIRECTORIES
from tidegate.drivers.devices import find_devices
from tidegate.drivers.installation import find_init
from tidegate.drivers.logs.plans import LogPlanner
from tidegate.drivers.mounts.container_mounts import StagedMounts
from tidegate.drivers.mounts.idmapped import MappedIds
from tidegate.drivers.oci.config import (
    DEFAULT_MASKED_PATHS,
    DEFAULT_READONLY_PATHS,
    MountRequest,
    OCIRequest,
    plan_config,
)
from tidegate.drivers.oci.etc_files import (
    etc_paths,
    hosts_text,
    own_names,
    resolv_conf_text,
    with_address,
    without_alias,
    write_etc_files,
)
from tidegate.drivers.oci.process import ProcessRequest, plan_process
from tidegate.drivers.resources import resource_request
from tidegate.drivers.rootfs.mountpoints import make_mountpoints
from tidegate.drivers.shared_memory import mount_shared_memory
from tidegate.drivers.user_namespaces import UnsharedNamespaces
from tidegate.engine.creation.device_rules import parse_device_rule
from tidegate.engine.isolation.cgroup_parent import cgroup_path
from tidegate.engine.isolation.namespace_modes import IPC, ipc_of
from tidegate.engine.isolation.runtimes import Runtimes
from tidegate.engine.isolation.security_options import UNCONFINED, parse_security_options
from tidegate.engine.isolation.user_namespaces import is_mapped, to_host
from tidegate.engine.links.table import LinkedContainer, LinkTable
from tidegate.engine.ports import (
    BridgeAttachment,
    ContainerProcess,
    ExecProcess,
    Stdio,
)
from tidegate.kernel.capabilities import effective_capabilities, held_capabilities
from tidegate.kernel.credentials import with_filesystem_ids
from tidegate.kernel.paths import read_in_root
from tidegate.kernel.seccomp.compiler import Host, SeccompCompiler, SeccompProgram
from tidegate.kernel.seccomp.document import oci_seccomp
from tidegate.model.container import JOINS, Container
from tidegate.model.phases import Phase
from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest, ExecCreateRequest, HostConfig
from tidegate.spec.stored import stored_request

_ACCOUNTS_LIMIT_BYTES = 1 << 20


class ProcessPlanner(msgspec.Struct, frozen=True):
    """``home`` answers a container's directory, ``links`` any container, and who is linked to it;
    ``cgroup_parent`` is the engine's own."""

    home: Callable[[str], Path]
    mounts: StagedMounts
    cgroup_parent: str
    seccomp: SeccompCompiler
    logs: LogPlanner
    links: LinkTable
    host_gateway: Callable[[], str]
    runtimes: Runtimes = msgspec.field(default_factory=Runtimes)
    cdi_directories: tuple[Path, ...] = DEFAULT_DIRECTORIES
    init_path: Path | None = None
    apparmor: AppArmor = msgspec.field(default_factory=AppArmor)
    user_namespaces: UnsharedNamespaces = UnsharedNamespaces(None)

    async def container(
        self, container: Container, rootfs: Path, netns_path: str | None, attachment: BridgeAttachment | None
    ) -> ContainerProcess:
        """See ``engine.effects.Planner``. Raises InvalidParameterError and NotSupportedError naming what is wrong."""
        return await asyncio.to_thread(self._container, container, rootfs, netns_path, attachment)

    def _container(
        self, container: Container, rootfs: Path, netns_path: str | None, attachment: BridgeAttachment | None
    ) -> ContainerProcess:
        document = stored_request(container.document)
        host = document.host_config
        runtime = self.runtimes.command(host.runtime)
        linked, ipc = self.links.linked(container), ipc_of(host, self.links.find)
        request = OCIRequest(
            process=self._process(container, document, rootfs, linked),
            rootfs=str(rootfs),
            cgroups_path=cgroup_path(host.cgroup_parent, self.cgroup_parent, container.id),
            netns_path=netns_path or self._joined(container.settings.network, "net", "network"),
            net_joined=not container.settings.has_own_network,
            domainname=document.domainname,
            resources=resource_request(host),
            readonly_rootfs=host.readonly_rootfs,
            mounts=tuple(self._mounts(container, host)),
            etc_files=self._etc_files(container, document, attachment, linked),
            devices=find_devices(host),
            device_rules=tuple(parse_device_rule(rule) for rule in host.device_cgroup_rules),
            sysctls=host.sysctls,
            shm_size_bytes=host.shm_size,
            shm_source=self._shared_memory(container, host, ipc),
            has_shm=ipc.memory != "none",
            init_host_path=_init_path(self.init_path) if host.init else None,
            masked_paths=_system_paths(host, host.masked_paths, DEFAULT_MASKED_PATHS),
            readonly_paths=_system_paths(host, host.readonly_paths, DEFAULT_READONLY_PATHS),
            seccomp=None if runtime else self._seccomp(host),
            seccomp_document=self._seccomp_document(host) if runtime else None,
            net_host=container.settings.network == "host",
            ipc_host=ipc.namespace == "host",
            ipc_path=f"/proc/{ipc.of.state.pid}/ns/ipc" if ipc.of else None,
            pid_host=host.pid_mode == "host",
            pid_path=self._joined(host.pid_mode, "pid", "PID namespace"),
            uts_host=host.uts_mode == "host",
            cgroup_private=host.cgroupns_mode == "private",
            annotations=host.annotations,
        )
        stdio = Stdio(document.tty, document.open_stdin, document.stdin_once, host.console_size)
        ids = self.mounts.ids_of(container)
        if ids:
            request = self._in_user_namespace(request, container.id, rootfs, ids)
        config = plan_config(request)
        inject_devices(config, host.device_requests, self.cdi_directories, every_device=host.privileged)
        if ids:
            with_filesystem_ids(ids.uid, ids.gid, lambda: make_mountpoints(rootfs, config["mounts"]))
        else:
            make_mountpoints(rootfs, config["mounts"])
        self._tell_holders(container, attachment)
        log = self.logs.target(container, document)
        return ContainerProcess(container.id, config, stdio, log, (runtime.path, *runtime.arguments) if runtime else ())

    def _in_user_namespace(self, request: OCIRequest, container_id: str, rootfs: Path, ids: MappedIds) -> OCIRequest:
        reached = self.mounts.reachable(container_id, rootfs, request.etc_files, ids)
        return msgspec.structs.replace(
            request,
            rootfs=reached.rootfs,
            etc_files=reached.files,
            userns_path=self.user_namespaces.path(container_id),
            id_mapping=self.user_namespaces.mapping,
        )

    def _joined(self, mode: str, namespace: str, what: str) -> str | None:
        """The namespace of the container that ``mode`` names. Raises ConflictError when that one does not run."""
        if not mode.startswith(JOINS):
            return None
        try:
            state = self.links.find(mode.removeprefix(JOINS)).state
        except NotFoundError as error:
            raise ConflictError(f"cannot join {what} of a removed container: {mode.removeprefix(JOINS)}") from error
        if state.phase not in (Phase.RUNNING, Phase.PAUSED, Phase.STOPPING):
            raise ConflictError(f"cannot join {what} of a non running container: {mode.removeprefix(JOINS)}")
        return f"/proc/{state.pid}/ns/{namespace}"

    def _shared_memory(self, container: Container, host: HostConfig, ipc: IPC) -> str | None:
        """Of the container itself, or of the one whose namespace it joins; None where the runtime mounts it."""
        if ipc.memory != "engine":
            return None
        home = self.home((ipc.of or container).id)
        return str(home / "shm" if ipc.of else mount_shared_memory(home, host.shm_size))

    def _network_owner(self, container: Container) -> Container:
        """Who has the files of the network that the container has joined, itself or through others."""
        while container.settings.network.startswith(JOINS):
            container = self.links.find(container.settings.network.removeprefix(JOINS))
        return container

    def directory(self, container_id: str) -> Path:
        """The container's own, with the files that the engine provides."""
        return self.home(container_id)

    def log_path(self, container: Container) -> Path | None:
        """As inspect tells it."""
        return self.logs.shown_path(container)

    def readable_log(self, container: Container) -> Path | None:
        """None for a container whose log cannot be read here."""
        return self.logs.readable(container)

    def exec(self, container: Container, exec_id: str, document: bytes) -> ExecProcess:
        """See ``engine.execs.PlanExec``. Raises InvalidParameterError: command, user or directory."""
        wanted = decode(ExecCreateRequest, document)
        if not wanted.cmd:
            raise InvalidParameterError("No exec command specified")
        own = stored_request(container.document)
        rootfs = self.home(container.id) / "merged"
        host = own.host_config
        request = ProcessRequest(
            args=wanted.cmd,
            env=(*own.env, *wanted.env),
            linked_env=_variables(self.links.running(container)),
            cwd=wanted.working_dir or own.working_dir,
            user=wanted.user or own.user,
            group_add=host.group_add,
            passwd=read_in_root(rootfs, "/etc/passwd", _ACCOUNTS_LIMIT_BYTES),
            group=read_in_root(rootfs, "/etc/group", _ACCOUNTS_LIMIT_BYTES),
            hostname=own.hostname or container.id[:12],
            tty=wanted.tty,
            cap_add=host.cap_add,
            cap_drop=host.cap_drop,
            privileged=wanted.privileged or host.privileged,
            available_capabilities=held_capabilities(),
            no_new_privileges=parse_security_options(host.security_opt).no_new_privileges,
            apparmor_profile=self.apparmor.profile_of(host, privileged=wanted.privileged or host.privileged),
        )
        process = plan_process(request)
        owner = None if wanted.tty else self._on_host(container, process["user"]["uid"], process["user"]["gid"])
        stdio = Stdio(wanted.tty, wanted.attach_stdin, True, wanted.console_size, owner)
        return ExecProcess(container.id, exec_id, process, stdio)

    def _on_host(self, container: Container, uid: int, gid: int) -> tuple[int, int]:
        mapping = self.user_namespaces.mapping
        if mapping is None or not is_mapped(container, mapping):
            return uid, gid
        return to_host(mapping.uids, uid), to_host(mapping.gids, gid)

    def _process(
        self, container: Container, document: CreateRequest, rootfs: Path, linked: Sequence[LinkedContainer]
    ) -> ProcessRequest:
        host = document.host_config
        return ProcessRequest(
            args=(*(document.entrypoint or ()), *(document.cmd or ())),
            env=document.env,
            linked_env=_variables(linked),
            cwd=document.working_dir,
            user=document.user,
            group_add=host.group_add,
            passwd=read_in_root(rootfs, "/etc/passwd", _ACCOUNTS_LIMIT_BYTES),
            group=read_in_root(rootfs, "/etc/group", _ACCOUNTS_LIMIT_BYTES),
            hostname=document.hostname or container.id[:12],
            tty=document.tty,
            console_size=host.console_size,
            cap_add=host.cap_add,
            cap_drop=host.cap_drop,
            privileged=host.privileged,
            available_capabilities=held_capabilities(),
            no_new_privileges=parse_security_options(host.security_opt).no_new_privileges,
            apparmor_profile=self.apparmor.profile_of(host, privileged=host.privileged),
            ulimits=tuple((limit.name, limit.soft, limit.hard) for limit in host.ulimits),
            oom_score_adj=host.oom_score_adj or None,
        )

    def _seccomp(self, host: HostConfig) -> SeccompProgram | None:
        wanted = _seccomp_profile(host)
        return None if wanted is None else self.seccomp.program(_capabilities(host), wanted)

    def _seccomp_document(self, host: HostConfig) -> Mapping[str, Any] | None:
        wanted = _seccomp_profile(host)
        if wanted is None:
            return None
        return oci_seccomp(*self.seccomp.rules(frozenset(_capabilities(host)), wanted), Host.current())

    def _mounts(self, container: Container, host: HostConfig) -> Iterable[MountRequest]:
        yield from self.mounts.requests(container)
        for target, text in host.tmpfs.items():
            yield MountRequest("tmpfs", target, options=tuple(option for option in text.split(",") if option))

    def _etc_files(
        self,
        container: Container,
        document: CreateRequest,
        attachment: BridgeAttachment | None,
        linked: Sequence[LinkedContainer],
    ) -> Mapping[str, str]:
        network = container.settings.network
        if network.startswith(JOINS):
            return etc_paths(self.home(self._network_owner(container).id))
        host = document.host_config
        hostname = document.hostname or container.id[:12]
        names = own_names(hostname, document.domainname)
        texts = {
            "hostname": f"{hostname}\n",
            "hosts": hosts_text(names, host.extra_hosts, attachment, linked, self.host_gateway()),
            "resolv.conf": resolv_conf_text(host, Path("/etc/resolv.conf"), on_host=network == "host"),
        }
        return write_etc_files(self.home(container.id), texts)

    def _tell_holders(self, container: Container, attachment: BridgeAttachment | None) -> None:
        """Those that are linked to the container find it where it is now."""
        if attachment is not None:
            for holder, alias in self.links.holders(container.id):
                self._edit_hosts(holder, partial(with_address, alias=alias, address=attachment.address))

    def drop_alias(self, container: Container, alias: str) -> None:
        """See ``engine.links.removal.DropAlias``."""
        self._edit_hosts(container, partial(without_alias, alias=alias))

    def _edit_hosts(self, container: Container, edit: Callable[[str], str]) -> None:
        path = self.home(container.id) / "hosts"
        if path.exists():
            path.write_text(edit(path.read_text()))


def _variables(linked: Iterable[LinkedContainer]) -> tuple[str, ...]:
    return tuple(variable for each in linked for variable in each.variables)


def _seccomp_profile(host: HostConfig) -> str | None:
    """As ``SeccompCompiler`` takes it; None for no filter."""
    wanted = parse_security_options(host.security_opt).seccomp
    if wanted == UNCONFINED or (host.privileged and not wanted):
        return None
    return wanted


def _capabilities(host: HostConfig) -> Sequence[str]:
    held = held_capabilities()
    return effective_capabilities(host.cap_add, host.cap_drop, privileged=host.privileged, available=held)


def _system_paths(host: HostConfig, wanted: tuple[str, ...] | None, defaults: tuple[str, ...]) -> tuple[str, ...]:
    if parse_security_options(host.security_opt).shows_system_paths:
        return ()
    return defaults if wanted is None else wanted


def _init_path(asked: Path | None) -> str:
    found = asked or find_init()
    if found is None:
        raise NotFoundError("HostConfig.Init: no init program on this host (Debian package: tini)")
    return str(found)
