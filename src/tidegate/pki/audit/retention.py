"""Taking the oldest files of an audit away, so that their absence is told from tampering.

What is dropped is written down first (``dropped.json`` beside the signer's memory): the last line that is gone, for
each chain. A crash between the two leaves files too many, which the next time takes away.
"""

from pathlib import Path

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.audit.files import audit_files
from tidegate.pki.audit.memory import DROPPED_FILE, encode_heads, read_dropped
from tidegate.pki.durable_files import PRIVATE_MODE, exclusive, sync_directory, write_durably
from tidegate.spec.audit.chain import Head, parse_line

_LINE_BYTES = 256 * 1024


def drop_oldest(directory: Path, writer: str, keep: int, memory: Path) -> int:
    """Keep the newest ``keep`` files of ``writer``; returns how many went. ``memory`` is the ``signer_directory``.

    Files whose successor does not say what came before it are kept: they are evidence. Raises OSError,
    InvalidParameterError for a damaged ``dropped.json``.
    """
    files = audit_files(directory, writer)
    oldest = files[: max(0, len(files) - keep)]
    if not oldest:
        return 0
    successor = before_first_line(files[len(oldest)])
    if successor is None:
        return 0
    chain, before = successor
    with exclusive(memory / ".lock"):
        dropped = {**read_dropped(memory), chain: before}
        write_durably(memory / DROPPED_FILE, encode_heads(dropped), PRIVATE_MODE)
    for path in oldest:
        path.unlink(missing_ok=True)
    sync_directory(directory)
    return len(oldest)


def before_first_line(path: Path) -> tuple[str, Head] | None:
    """The chain of a file, and what stood before its first line."""
    with path.open("rb") as stream:
        raw = stream.readline(_LINE_BYTES)
    try:
        line = parse_line(raw.removesuffix(b"\n"))
    except InvalidParameterError:
        return None
    return line.chain, Head(line.seq - 1, line.prev)
