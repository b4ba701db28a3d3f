"""The state of a container and the events and effects of its life. The machine itself is ``model/lifecycle.py``.

Events are past (``Launched``) or requests (``StartRequested``); effects are orders (``Launch``). Times are unix ns.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from tidegate.model.restart import RestartPolicy


class Phase(Enum):
    """Where a container is in its life; ``created`` to ``dead`` as Docker names them."""

    CREATING = "creating"
    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"


ALIVE = frozenset({Phase.STARTING, Phase.RUNNING, Phase.PAUSED, Phase.STOPPING})
"""Phases in which processes may exist."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user asked for that governs the life; ``docker update`` may change it."""

    restart: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    stop_signal: int = 15


@dataclass(frozen=True, slots=True)
class State:
    """What the engine knows of a container's life; stored as it is. ``delay_ns`` is the last restart's pause.

    ``attended``: a user asked for the last launch, and was told what became of it.
    """

    phase: Phase = Phase.CREATING
    rules: Rules = field(default_factory=Rules)
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at_ns: int = 0
    finished_at_ns: int = 0
    restart_count: int = 0
    delay_ns: int = 0
    stopped_by_user: bool = False
    attended: bool = False
    release_owed: bool = False
    stop_timeout_s: int = 10

    @property
    def is_passing(self) -> bool:
        """Whether it need not outlive a loss of power: it lasts no longer than a launch or a release.

        Those make and undo what is lost with the power anyway (processes, mounts, namespaces), and nobody has been told
        of it yet. Making and removing what is on disk are orders that must be found again.
        """
        return self.release_owed and self.phase in (Phase.STARTING, Phase.CREATED, Phase.EXITED)


# ----------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class CreateRequested:
    """A user made the container; its record is stored."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Root filesystem and volumes exist."""


@dataclass(frozen=True, slots=True)
class PrepareFailed:
    """They could not be made."""

    error: str


@dataclass(frozen=True, slots=True)
class StartRequested:
    """A user starts the container."""


@dataclass(frozen=True, slots=True)
class Launched:
    """The init process runs."""

    pid: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """Nothing runs; ``exit_code`` is 126, 127 or 128. ``transient``: neither the container nor its user is at fault."""

    error: str
    exit_code: int
    at_ns: int
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Exited:
    """The init process ended."""

    exit_code: int
    at_ns: int
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    """Everything of a run was given back; not ``clean``: something is left and boot recovery tries again."""

    clean: bool = True


@dataclass(frozen=True, slots=True)
class KillRequested:
    """A user sends a signal."""

    signal: int


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A user stops the container: ``signal``, then SIGKILL after ``timeout_s`` (negative: never)."""

    signal: int
    timeout_s: int


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """A user freezes the container."""


@dataclass(frozen=True, slots=True)
class UnpauseRequested:
    """A user thaws the container."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """The cgroup is frozen."""


@dataclass(frozen=True, slots=True)
class Thawed:
    """The cgroup runs again."""


@dataclass(frozen=True, slots=True)
class EffectFailed:
    """A freeze, thaw or signal could not be done; the state stays as it is, the requester gets the error."""

    error: str


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The kernel killed a process of the container."""


@dataclass(frozen=True, slots=True)
class RemoveRequested:
    """A user removes a container that does not run."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Nothing of the container is left."""


@dataclass(frozen=True, slots=True)
class RemoveFailed:
    """Something is left; the container is dead and can be removed again."""

    error: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that ``ArmTimer`` set has run out."""

    timer: "Timer"


@dataclass(frozen=True, slots=True)
class FoundAlive:
    """Boot recovery: the supervisor still holds the running process."""

    pid: int
    paused: bool


@dataclass(frozen=True, slots=True)
class FoundExited:
    """Boot recovery: the supervisor still holds the exit of the last run, which was not released."""

    exit_code: int
    at_ns: int
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class FoundLost:
    """Boot recovery: no process of the container exists, nor the record of an exit."""

    at_ns: int


Event = (
    CreateRequested
    | Prepared | PrepareFailed | StartRequested | Launched | LaunchFailed | Exited | Released | KillRequested
    | StopRequested | PauseRequested | UnpauseRequested | Frozen | Thawed | EffectFailed | OutOfMemory
    | RemoveRequested | Removed | RemoveFailed | TimerFired | FoundAlive | FoundExited | FoundLost
)  # fmt: skip

# ----------------------------------------------------------------------------- effects

Timer = Literal["kill", "restart"]


@dataclass(frozen=True, slots=True)
class Prepare:
    """Make root filesystem and volumes; outcome Prepared or PrepareFailed."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Run the container; outcome Launched or LaunchFailed.

    ``leftovers``: an earlier run was not given back whole, which comes first.
    """

    leftovers: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """Send to the init; one that is gone is success. No outcome."""

    signal: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """Outcome Frozen or EffectFailed."""


@dataclass(frozen=True, slots=True)
class Thaw:
    """Outcome Thawed or EffectFailed."""


@dataclass(frozen=True, slots=True)
class Release:
    """Give back everything a launch acquired, in reverse; idempotent. Outcome Released."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove root filesystem, volumes and record; idempotent. Outcome Removed or RemoveFailed."""


@dataclass(frozen=True, slots=True)
class ArmTimer:
    """TimerFired after the delay, unless disarmed."""

    timer: Timer
    delay_ns: int


@dataclass(frozen=True, slots=True)
class DisarmTimer:
    """Forget the timer."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Publish:
    """Put a Docker event on the bus; ``attributes`` come on top of the container's own."""

    action: str
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Announce:
    """Wake those who wait for ``exit`` or ``removal``."""

    what: Literal["exit", "removal"]


Effect = Prepare | Launch | Signal | Freeze | Thaw | Release | Remove | ArmTimer | DisarmTimer | Publish | Announce


@dataclass(frozen=True, slots=True)
class Step:
    """A new state, to store first, and what to do then, in order."""

    state: State
    effects: tuple[Effect, ...] = ()
