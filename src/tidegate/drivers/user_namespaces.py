"""User namespaces by the programs of util-linux, which are there wherever the engine runs: unshare(1), nsenter(1).

A process of several threads cannot enter a user namespace (setns(2)), so each is made by a short process of its own:
``unshare -U -n cat`` has unshared when it echoes a byte; then its maps are written, its namespaces are opened, and it
ends. A network namespace made in it belongs to it, so that the container's root can configure it.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tidegate.base.errors import InternalError
from tidegate.drivers.mounts.idmapped import MappedIds
from tidegate.engine.isolation.user_namespaces import IdMapping, IdRange, is_mapped
from tidegate.model.container import Container


class UnsharedNamespaces:
    """Fits ``engine.isolation.user_namespaces.UserNamespaces``; also hands its descriptors to other drivers."""

    def __init__(self, mapping: IdMapping | None) -> None:
        self.mapping = mapping
        self._paths: dict[str, str] = {}
        self._fds: dict[str, int] = {}
        self._networks: dict[str, int] = {}
        self._mapping_fd: int | None = None

    async def create(self, container_id: str, joined: str | None, *, own_network: bool) -> None:
        """See ``UserNamespaces``."""
        self.close(container_id)
        if joined is not None and not own_network:
            self._paths[container_id] = joined
            return
        user_fd, network_fd = await asyncio.to_thread(self._make, joined, own_network)
        self._fds[container_id] = user_fd
        self._paths[container_id] = joined or f"/proc/{os.getpid()}/fd/{user_fd}"
        if network_fd is not None:
            self._networks[container_id] = network_fd

    def close(self, container_id: str) -> None:
        """See ``UserNamespaces``."""
        self._paths.pop(container_id, None)
        for fds in (self._fds, self._networks):
            fd = fds.pop(container_id, None)
            if fd is not None:
                os.close(fd)

    def path(self, container_id: str) -> str | None:
        """Where the runtime finds the container's user namespace; None for the host's."""
        return self._paths.get(container_id)

    def take_network(self, container_id: str) -> int | None:
        """The network namespace that was made with it; the descriptor is the caller's from now on."""
        return self._networks.pop(container_id, None)

    def ids(self) -> MappedIds:
        """The mapping, for idmapped mounts; kept for the engine's life. Blocks. Raises InternalError."""
        if self.mapping is None:
            raise InternalError("there is no mapping: userns-remap is not set")
        if self._mapping_fd is None:
            self._mapping_fd, _ = self._make(None, False)
        return MappedIds(self._mapping_fd, *self.mapping.root)

    def ids_of(self, container: Container) -> MappedIds | None:
        """Those of a container that is mapped. Blocks. Raises InternalError."""
        return self.ids() if is_mapped(container, self.mapping) else None

    def _make(self, joined: str | None, own_network: bool) -> tuple[int, int | None]:
        enter = ["nsenter", f"--user={joined}", "--setuid=0", "--setgid=0"] if joined else []
        flags = [*([] if joined else ["--user"]), *(["--net"] if own_network else [])]
        with _unshared([*enter, "unshare", *flags, "--", "cat"]) as pid:
            if joined is None and self.mapping is not None:
                _write_maps(Path(f"/proc/{pid}"), self.mapping)
            user_fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            return user_fd, os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC) if own_network else None


@contextlib.contextmanager
def _unshared(command: Sequence[str]) -> Iterator[int]:
    """The pid of a process in its new namespaces, for as long as the context lasts. Raises InternalError."""
    try:
        with subprocess.Popen(  # noqa: S603  our own words, and a path of /proc
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        ) as process:
            if process.stdin is None or process.stdout is None or process.stderr is None:
                raise InternalError("a process without pipes")
            with contextlib.suppress(BrokenPipeError):  # it has failed, and says why
                process.stdin.write(b".")
            if process.stdout.read(1) != b".":
                told = process.stderr.read().decode(errors="replace").strip()
                raise InternalError(f"cannot make a user namespace: {told}")
            yield process.pid
            process.stdin.close()
    except OSError as error:
        raise InternalError(f"cannot make a user namespace: {error}") from error


def _write_maps(process: Path, mapping: IdMapping) -> None:
    (process / "gid_map").write_text(_map_text(mapping.gids))
    (process / "uid_map").write_text(_map_text(mapping.uids))


def _map_text(ranges: Sequence[IdRange]) -> str:
    return "".join(f"{each.inside} {each.outside} {each.size}\n" for each in ranges)
