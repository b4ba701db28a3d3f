"""The state of a container and the events and effects of its life. The machine itself is ``model/lifecycle.py``.

Events are past (``Launched``) or requests (``StartRequested``); effects are orders (``Launch``). Times are unix ns.
"""

from enum import Enum
from typing import Literal

import msgspec

from tidegate.model.health import Health, HealthCheck, ProbeResult
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


class Rules(msgspec.Struct, frozen=True):
    """What the user asked for that governs the life; ``docker update`` may change it."""

    restart: RestartPolicy = msgspec.field(default_factory=RestartPolicy)
    auto_remove: bool = False
    stop_signal: int = 15
    health: HealthCheck | None = None


class State(msgspec.Struct, frozen=True):
    """What the engine knows of a container's life; stored as it is. ``delay_ns`` is the last restart's pause.

    ``attended``: a user asked for the last launch, and was told what became of it. ``restart_owed``: the run is being
    ended because it is unhealthy, and is followed by another. ``health`` is None without a check, or before a start.
    ``held``: the next run waits for other containers (``model/boot_order.py``), not for a timer. ``takes_volumes``: the
    anonymous volumes go with the container.
    """

    phase: Phase = Phase.CREATING
    rules: Rules = msgspec.field(default_factory=Rules)
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
    restart_owed: bool = False
    health: Health | None = None
    held: bool = False
    takes_volumes: bool = False

    @property
    def is_passing(self) -> bool:
        """Whether it need not outlive a loss of power: it lasts no longer than a launch or a release.

        Those make and undo what is lost with the power anyway (processes, mounts, namespaces), and nobody has been told
        of it yet. Making and removing what is on disk are orders that must be found again.
        """
        return self.release_owed and self.phase in (Phase.STARTING, Phase.CREATED, Phase.EXITED)


# ----------------------------------------------------------------------------- events


class CreateRequested(msgspec.Struct, frozen=True):
    """A user made the container; its record is stored."""


class Prepared(msgspec.Struct, frozen=True):
    """Root filesystem and volumes exist."""


class PrepareFailed(msgspec.Struct, frozen=True):
    """They could not be made."""

    error: str


class StartRequested(msgspec.Struct, frozen=True):
    """A user starts the container."""


class Launched(msgspec.Struct, frozen=True):
    """The init process runs."""

    pid: int
    at_ns: int


class LaunchFailed(msgspec.Struct, frozen=True):
    """Nothing runs; ``exit_code`` is 126, 127 or 128. ``transient``: neither the container nor its user is at fault."""

    error: str
    exit_code: int
    at_ns: int
    transient: bool = False


class Exited(msgspec.Struct, frozen=True):
    """The init process ended."""

    exit_code: int
    at_ns: int
    oom_killed: bool = False


class Released(msgspec.Struct, frozen=True):
    """Everything of a run was given back; not ``clean``: something is left and boot recovery tries again."""

    clean: bool = True


class KillRequested(msgspec.Struct, frozen=True):
    """A user sends a signal."""

    signal: int


class StopRequested(msgspec.Struct, frozen=True):
    """A user stops the container: ``signal``, then SIGKILL after ``timeout_s`` (negative: never)."""

    signal: int
    timeout_s: int


class PauseRequested(msgspec.Struct, frozen=True):
    """A user freezes the container."""


class UnpauseRequested(msgspec.Struct, frozen=True):
    """A user thaws the container."""


class Frozen(msgspec.Struct, frozen=True):
    """The cgroup is frozen."""


class Thawed(msgspec.Struct, frozen=True):
    """The cgroup runs again."""


class EffectFailed(msgspec.Struct, frozen=True):
    """A freeze, thaw or signal could not be done; the state stays as it is, the requester gets the error."""

    error: str


class OutOfMemory(msgspec.Struct, frozen=True):
    """The kernel killed a process of the container."""


class Probed(msgspec.Struct, frozen=True):
    """A probe of the container's health has ended."""

    result: ProbeResult


class RemoveRequested(msgspec.Struct, frozen=True):
    """A user removes a container that does not run; with ``volumes``, its anonymous ones too."""

    volumes: bool = False


class Removed(msgspec.Struct, frozen=True):
    """Nothing of the container is left."""


class RemoveFailed(msgspec.Struct, frozen=True):
    """Something is left; the container is dead and can be removed again."""

    error: str


class TimerFired(msgspec.Struct, frozen=True):
    """A timer that ``ArmTimer`` set has run out."""

    timer: "Timer"


class FoundAlive(msgspec.Struct, frozen=True):
    """Boot recovery: the supervisor still holds the running process."""

    pid: int
    paused: bool


class FoundExited(msgspec.Struct, frozen=True):
    """Boot recovery: the supervisor still holds the exit of the last run, which was not released."""

    exit_code: int
    at_ns: int
    oom_killed: bool = False
    held: bool = False


class FoundLost(msgspec.Struct, frozen=True):
    """Boot recovery: no process of the container exists, nor the record of an exit.

    ``held``, here and in ``FoundExited``: a run that follows waits for DependenciesMet.
    """

    at_ns: int
    held: bool = False


class DependenciesMet(msgspec.Struct, frozen=True):
    """What a held container waits for is there, or will not come."""


Event = (
    CreateRequested
    | Prepared | PrepareFailed | StartRequested | Launched | LaunchFailed | Exited | Released | KillRequested
    | StopRequested | PauseRequested | UnpauseRequested | Frozen | Thawed | EffectFailed | OutOfMemory
    | Probed | RemoveRequested | Removed | RemoveFailed | TimerFired | FoundAlive | FoundExited | FoundLost
    | DependenciesMet
)  # fmt: skip

# ----------------------------------------------------------------------------- effects

Timer = Literal["kill", "restart", "health"]


class Prepare(msgspec.Struct, frozen=True):
    """Make root filesystem and volumes; outcome Prepared or PrepareFailed."""


class Launch(msgspec.Struct, frozen=True):
    """Run the container; outcome Launched or LaunchFailed.

    ``leftovers``: an earlier run was not given back whole, which comes first.
    """

    leftovers: bool = False


class Signal(msgspec.Struct, frozen=True):
    """Send to the init; one that is gone is success. No outcome."""

    signal: int


class Freeze(msgspec.Struct, frozen=True):
    """Outcome Frozen or EffectFailed."""


class Thaw(msgspec.Struct, frozen=True):
    """Outcome Thawed or EffectFailed."""


class Probe(msgspec.Struct, frozen=True):
    """Begin to run the health check's command. Nothing waits for it: Probed comes when it has ended."""


class EndProbe(msgspec.Struct, frozen=True):
    """Forget the probe under way, if any: its result would say nothing."""


class Release(msgspec.Struct, frozen=True):
    """Give back everything a launch acquired, in reverse; idempotent. Outcome Released."""


class Remove(msgspec.Struct, frozen=True):
    """Remove root filesystem, volumes and record; idempotent. Outcome Removed or RemoveFailed."""


class ArmTimer(msgspec.Struct, frozen=True):
    """TimerFired after the delay, unless disarmed."""

    timer: Timer
    delay_ns: int


class DisarmTimer(msgspec.Struct, frozen=True):
    """Forget the timer."""

    timer: Timer


class Publish(msgspec.Struct, frozen=True):
    """Put a Docker event on the bus; ``attributes`` come on top of the container's own."""

    action: str
    attributes: tuple[tuple[str, str], ...] = ()


class Announce(msgspec.Struct, frozen=True):
    """Wake those who wait for ``exit`` or ``removal``."""

    what: Literal["exit", "removal"]


Effect = (
    Prepare | Launch | Signal | Freeze | Thaw | Probe | EndProbe | Release | Remove
    | ArmTimer | DisarmTimer | Publish | Announce
)  # fmt: skip


class Step(msgspec.Struct, frozen=True):
    """A new state, to store first, and what to do then, in order.

    ``passing``: the step need not outlive a loss of power, whatever the state (``State.is_passing``).
    """

    state: State
    effects: tuple[Effect, ...] = ()
    passing: bool = False
