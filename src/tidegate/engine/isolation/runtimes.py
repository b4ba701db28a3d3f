"""``Runtime``: the OCI runtimes that containers may be started by, by name. Pure.

``crun`` is the engine's own: it gets its filter compiled and, on cgroup v1, its control groups made beforehand. Any
other is a program with runc's command line, which does all that itself from the OCI configuration.
"""

from collections.abc import Mapping

import msgspec

from tidegate.base.errors import InvalidParameterError

OWN = "crun"
SECOND = "runc"


class RuntimeCommand(msgspec.Struct, frozen=True):
    """``path`` is absolute, or a name in PATH; ``arguments`` come before the subcommand."""

    path: str
    arguments: tuple[str, ...] = ()


class Runtimes(msgspec.Struct):
    """``named`` are those of the configuration; ``found`` are programs of this host that need none.

    One for everybody: ``configure`` changes it for all, for containers that start from then on.
    """

    named: Mapping[str, RuntimeCommand] = msgspec.field(default_factory=dict)
    found: Mapping[str, RuntimeCommand] = msgspec.field(default_factory=dict)
    default: str = OWN

    @property
    def known(self) -> Mapping[str, RuntimeCommand]:
        """Every one by name, the engine's own first."""
        return {OWN: RuntimeCommand(OWN), **self.found, **self.named}

    def configure(self, named: Mapping[str, RuntimeCommand], default: str) -> None:
        """What the configuration says now."""
        self.named, self.default = named, default

    def check(self, name: str) -> None:
        """Raises InvalidParameterError for a runtime that there is not."""
        if name and name not in self.known:
            raise InvalidParameterError(f"unknown or invalid runtime name: {name}")

    def command(self, name: str) -> RuntimeCommand | None:
        """What starts a container of this ``Runtime``; None is the engine's own. Raises InvalidParameterError."""
        self.check(name)
        name = name or self.default
        return None if name == OWN and OWN not in self.named else self.known[name]
