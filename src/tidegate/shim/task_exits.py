"""Exits of processes that are another's children, as the kernel tells them to any listener: taskstats, over netlink.

A message is sent before the process becomes a zombie, so that it is here when its pidfd is ready, however fast its
parent reaps. A filter in the kernel lets only the processes through that are followed.

- The kernel tells listeners in the initial network and pid namespaces only; elsewhere nothing comes.

Source: Documentation/accounting/taskstats.rst, linux/taskstats.h, linux/genetlink.h, linux/filter.h.
"""

import ctypes
import errno
import itertools
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from tidegate.base.errors import NotSupportedError

_NETLINK_GENERIC = 16
_CONTROL_FAMILY, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 0x10, 3, 1, 2
_GET, _REGISTER_CPUMASK = 1, 3
_AGGREGATE_PID, _STATS, _PID = 4, 3, 1
_REQUEST, _ACK, _ERROR = 1, 4, 2
_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_SO_ATTACH_FILTER = 26
_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PID_OFFSET = _HEADER.size + _GENERIC.size + 2 * _ATTRIBUTE.size
_EXIT_CODE_OFFSET = 4  # struct taskstats: version, padding, ac_exitcode
_FOLLOWED_LIMIT = 2000  # a filter has at most 4096 instructions
_RECEIVE_BYTES = 64 * 1024
_ANSWER_TIMEOUT_S = 1.0


class TaskExits:
    """A listener; it follows nobody yet."""

    def __init__(self) -> None:
        """Raises NotSupportedError where the kernel does not tell, or not this process."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC)
        self._statuses: dict[int, int] = {}
        try:
            self._socket.settimeout(_ANSWER_TIMEOUT_S)
            answer = self._ask(_CONTROL_FAMILY, _GET_FAMILY, _FAMILY_NAME, b"TASKSTATS\0")
            (family,) = struct.unpack_from("=H", _attributes(answer)[_FAMILY_ID])
            cpus = Path("/sys/devices/system/cpu/possible").read_bytes().strip() + b"\0"
            self._ask(family, _GET, _REGISTER_CPUMASK, cpus)
            self.follow(())
            self._socket.setblocking(False)
            self._receive()
        except (OSError, KeyError, struct.error) as error:
            self._socket.close()
            raise NotSupportedError(f"taskstats: {error}") from error
        self._statuses.clear()

    def follow(self, pids: Iterable[int]) -> None:
        """Be told of these processes, and of no others from now on. Raises OSError."""
        accept, drop = (_RETURN, 0, 0, 0xFFFFFFFF), (_RETURN, 0, 0, 0)
        instructions = [(_LOAD_WORD, 0, 0, _PID_OFFSET)]
        for pid in itertools.islice(pids, _FOLLOWED_LIMIT):
            instructions += [(_JUMP_EQUAL, 0, 1, socket.htonl(pid)), accept]
        code = b"".join(struct.pack("=HBBI", *each) for each in [*instructions, drop])
        buffer = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def status(self, pid: int) -> int | None:
        """The wait status of a followed process that has ended."""
        self._receive()
        return self._statuses.get(pid)

    def forget(self, pid: int) -> None:
        """Its number may be another's soon."""
        self._statuses.pop(pid, None)

    def close(self) -> None:
        self._socket.close()

    def _ask(self, family: int, command: int, attribute: int, value: bytes) -> bytes:
        """Send a request; the payload of its answer, or of its acknowledgement. Raises OSError."""
        body = _GENERIC.pack(command, 1, 0) + _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), attribute) + value
        body += bytes(-len(body) % 4)
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), family, _REQUEST | _ACK, family, 0) + body)
        answer = b""
        while True:
            message = self._next()
            _, kind, _, sequence, _ = _HEADER.unpack_from(message)
            if sequence == family and kind == family:
                answer = message[_HEADER.size + _GENERIC.size :]
            elif sequence == family and kind == _ERROR:
                (number,) = struct.unpack_from("=i", message, _HEADER.size)
                if number:
                    raise OSError(-number, os.strerror(-number))
                return answer

    def _next(self) -> bytes:
        while True:
            try:
                return self._socket.recv(_RECEIVE_BYTES)
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # some were dropped; what is here is whole
                    raise

    def _receive(self) -> None:
        try:
            while True:
                message = self._next()
                told = _attributes(message[_HEADER.size + _GENERIC.size :]).get(_AGGREGATE_PID)
                if told is not None:
                    inner = _attributes(told)
                    (pid,) = struct.unpack("=I", inner[_PID])
                    (self._statuses[pid],) = struct.unpack_from("=I", inner[_STATS], _EXIT_CODE_OFFSET)
        except BlockingIOError:
            return


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        found[kind & 0x3FFF] = data[at + _ATTRIBUTE.size : at + size]
        at += max(_ATTRIBUTE.size, (size + 3) & ~3)
    return found
