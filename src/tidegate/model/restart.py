"""The restart policy of a container, as pure decisions.

- back-off starts at 100 ms, doubles with each restart up to a minute, and starts anew after a run of 10 s;
- a container that a user stopped is not restarted on exit, and at boot only by ``always``.
"""

from typing import Literal

import msgspec

PolicyName = Literal["no", "always", "unless-stopped", "on-failure"]

FIRST_DELAY_NS = 100_000_000
LONGEST_DELAY_NS = 60_000_000_000
LONG_RUN_NS = 10_000_000_000


class RestartPolicy(msgspec.Struct, frozen=True):
    """``maximum_retry_count`` 0 is without limit; it counts for ``on-failure`` only."""

    name: PolicyName = "no"
    maximum_retry_count: int = 0


def decide_restart(policy: RestartPolicy, exit_code: int, restart_count: int, *, stopped_by_user: bool) -> bool:
    """Whether a container that has just exited runs again."""
    if stopped_by_user:
        return False
    if policy.name == "on-failure":
        tries_left = policy.maximum_retry_count == 0 or restart_count < policy.maximum_retry_count
        return exit_code != 0 and tries_left
    return policy.name in ("always", "unless-stopped")


def decide_restart_at_boot(policy: RestartPolicy, exit_code: int, restart_count: int, *, stopped_by_user: bool) -> bool:
    """Whether a container found exited when the engine starts runs again."""
    if policy.name == "always":
        return True
    return decide_restart(policy, exit_code, restart_count, stopped_by_user=stopped_by_user)


def next_delay_ns(previous_delay_ns: int, run_time_ns: int) -> int:
    """The pause before the next restart; ``previous_delay_ns`` is 0 before the first."""
    if previous_delay_ns == 0 or run_time_ns >= LONG_RUN_NS:
        return FIRST_DELAY_NS
    return min(previous_delay_ns * 2, LONGEST_DELAY_NS)
