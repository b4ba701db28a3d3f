"""Docker's words for what a container's phase forbids."""

from tidegate.base.errors import ConflictError, InvalidParameterError, TidegateError
from tidegate.model import phases as p
from tidegate.model.container import Container
from tidegate.model.lifecycle import NotAllowedError
from tidegate.model.phases import Phase


def refusal(container: Container, refused: NotAllowedError) -> TidegateError:
    """The error a client sees for a request outside the table of the lifecycle."""
    match refused.event:
        case p.KillRequested():
            return ConflictError(f"cannot kill container: {container.name}: container {container.id} is not running")
        case p.RemoveRequested():
            return _remove(container, refused.phase)
        case p.StartRequested():
            return _start(refused.phase)
        case p.PauseRequested():
            return _pause(container, refused.phase)
        case p.UnpauseRequested():
            return ConflictError(f"Container {container.id} is not paused")
        case _:
            return ConflictError(f"container {container.id} is {refused.phase.value}")


def _remove(container: Container, phase: Phase) -> TidegateError:
    if phase in (Phase.REMOVING, Phase.CREATING):
        return ConflictError(f"removal of container {container.name} is already in progress")
    state = phase.value if phase in (Phase.PAUSED, Phase.RESTARTING) else "running"
    advice = " and must be unpaused first" if phase is Phase.PAUSED else ""
    advice = advice or ": stop the container before removing or force remove"
    return ConflictError(f'cannot remove container "/{container.name}": container is {state}{advice}')


def _start(phase: Phase) -> TidegateError:
    if phase is Phase.PAUSED:
        return ConflictError("cannot start a paused container, try unpause instead")
    if phase in (Phase.REMOVING, Phase.DEAD):
        return ConflictError("container is marked for removal and cannot be started")
    return InvalidParameterError(f"container is {phase.value}: wait until it has stopped")


def _pause(container: Container, phase: Phase) -> TidegateError:
    if phase is Phase.PAUSED:
        return ConflictError(f"Container {container.id} is already paused")
    if phase is Phase.RESTARTING:
        return ConflictError(f"Container {container.id} is restarting, wait until the container is running")
    return ConflictError(f"Container {container.id} is not running")
