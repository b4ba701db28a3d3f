"""What the processes of ours write on standard error: lines of text, or of JSON with fields (``log-format``).

In JSON a line has ``time`` (RFC 3339), ``level`` in dockerd's words, ``msg`` and ``process``; what a record is about
comes as fields of its own, given by ``extra={"fields": {...}}``. As text those are not shown: a message says them.
"""

import json
import logging
import time
from collections.abc import Mapping

from tidegate.base.log_levels import LOG_LEVELS

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
_NAMES = {number: name for name, number in LOG_LEVELS.items()}


class JSONFormatter(logging.Formatter):
    """One document a line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, object] = getattr(record, "fields", {})
        document = {
            "time": timestamp(record.created),
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "msg": record.getMessage(),
            "process": self._process,
            "logger": record.name,
            **fields,
        }
        if record.exc_info:
            document["error"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


def printable(text: str) -> str:
    """``text`` with what would begin a line, or move a terminal, written out: others have chosen it."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def timestamp(at_s: float) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    whole = int(at_s)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((at_s - whole) * 1000):03d}Z"


def configure_log(process: str, level: str, log_format: str) -> None:
    """For the whole process, from now on; ``level`` and ``log_format`` have been checked."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JSONFormatter(process) if log_format == JSON else logging.Formatter(f"%(asctime)s {process} %(message)s")
    )
    logging.basicConfig(level=LOG_LEVELS[level], handlers=[handler], force=True)


def set_level(level: str) -> None:
    """Of what is configured; ``level`` has been checked."""
    logging.getLogger().setLevel(LOG_LEVELS[level])
