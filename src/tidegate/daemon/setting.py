"""One setting of ``tidegate up``: how it is written, and what is known of its values. The table is ``settings``."""

from enum import Enum

import msgspec


class Kind(Enum):
    """What a value looks like; ``LIST`` flags may be repeated."""

    TEXT = "text"
    FLAG = "flag"
    LIST = "list"
    NUMBER = "number"
    MAP = "map"
    OBJECTS = "objects"


class Setting(msgspec.Struct, frozen=True):
    """``key`` in daemon.json (None: command line only); ``flag`` without dashes (None: file only).

    - ``idle`` is why it has no effect here; ``anyway`` are the values that ask for what is so without it: they need no
      warning.
    - ``reloadable``: a change of it in the file takes effect at SIGHUP.
    """

    key: str | None
    flag: str | None
    kind: Kind
    idle: str = ""
    short: str | None = None
    help: str = ""
    anyway: tuple[object, ...] = ()
    reloadable: bool = False

    @property
    def name(self) -> str:
        return str(self.key or self.flag)

    def warning(self, value: object) -> str:
        """What an administrator is to know who sets it to ``value``; "" for nothing."""
        asks_nothing = value in self.anyway or value in ("", [], {})
        return (
            f"{self.name}: known to Docker, without effect here: {self.idle}" if self.idle and not asks_nothing else ""
        )
