"""nftables through libnftables.so.1 (libnftables(3)): text commands in, one atomic transaction per call.

A context works on the network namespace of the thread that made it, and is used by one thread at a time.
"""

import ctypes
import json
from typing import Any

from tidegate.base.errors import InternalError, NotSupportedError

_LIBRARY = "libnftables.so.1"
_OUTPUT_JSON = 1 << 4
_DECLARATIONS: dict[str, tuple[Any, list[Any]]] = {
    "nft_ctx_new": (ctypes.c_void_p, [ctypes.c_uint32]),
    "nft_ctx_free": (None, [ctypes.c_void_p]),
    "nft_ctx_buffer_output": (ctypes.c_int, [ctypes.c_void_p]),
    "nft_ctx_buffer_error": (ctypes.c_int, [ctypes.c_void_p]),
    "nft_ctx_get_output_buffer": (ctypes.c_char_p, [ctypes.c_void_p]),
    "nft_ctx_get_error_buffer": (ctypes.c_char_p, [ctypes.c_void_p]),
    "nft_ctx_output_set_flags": (None, [ctypes.c_void_p, ctypes.c_uint]),
    "nft_run_cmd_from_buffer": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
}


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise NotSupportedError(f"the firewall library {_LIBRARY} cannot be loaded: {error}") from error
    for name, (result, arguments) in _DECLARATIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Nftables:
    """A libnftables context. NotSupportedError when the library is missing."""

    def __init__(self) -> None:
        self._library = _load()
        self._context: int | None = self._library.nft_ctx_new(0)
        if not self._context:
            raise InternalError("nftables: no context could be made")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def close(self) -> None:
        if self._context is not None:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def run(self, commands: str) -> str:
        """Apply all the commands or none; returns their output. InternalError with the text of libnftables."""
        return self._run(commands, 0)

    def query(self, command: str) -> list[dict[str, Any]]:
        """The objects that a ``list`` command shows, as in libnftables-json(5), the metainfo left out."""
        objects: list[dict[str, Any]] = json.loads(self._run(command, _OUTPUT_JSON))["nftables"]
        return [entry for entry in objects if "metainfo" not in entry]

    def _run(self, commands: str, flags: int) -> str:
        if self._context is None:
            raise InternalError("nftables: the context is closed")
        self._library.nft_ctx_output_set_flags(self._context, flags)
        failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output = self._library.nft_ctx_get_output_buffer(self._context) or b""
        errors = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise InternalError(f"nftables: {errors.decode(errors='replace').strip() or 'unknown error'}")
        return str(output.decode())
