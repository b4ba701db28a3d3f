"""Who restarts, and after how long."""

import pytest

from tidegate.model.restart import RestartPolicy, decide_restart, decide_restart_at_boot, next_delay_ns

MS = 1_000_000


@pytest.mark.parametrize(
    ("policy", "exit_code", "count", "stopped", "expected"),
    [
        (RestartPolicy(), 1, 0, False, False),
        (RestartPolicy("always"), 0, 9, False, True),
        (RestartPolicy("always"), 0, 0, True, False),
        (RestartPolicy("unless-stopped"), 0, 0, False, True),
        (RestartPolicy("on-failure"), 0, 0, False, False),
        (RestartPolicy("on-failure", 2), 1, 1, False, True),
        (RestartPolicy("on-failure", 2), 1, 2, False, False),
    ],
)
def test_after_an_exit(policy: RestartPolicy, exit_code: int, count: int, stopped: bool, expected: bool) -> None:
    assert decide_restart(policy, exit_code, count, stopped_by_user=stopped) is expected


def test_at_boot_only_always_ignores_the_users_stop() -> None:
    assert decide_restart_at_boot(RestartPolicy("always"), 0, 0, stopped_by_user=True)
    assert not decide_restart_at_boot(RestartPolicy("unless-stopped"), 0, 0, stopped_by_user=True)


def test_back_off_doubles_to_a_minute_and_starts_anew_after_a_long_run() -> None:
    delays = [next_delay_ns(0, 0)]
    for _ in range(11):
        delays.append(next_delay_ns(delays[-1], 0))
    assert delays[:4] == [100 * MS, 200 * MS, 400 * MS, 800 * MS]
    assert delays[-1] == 60_000 * MS
    assert next_delay_ns(60_000 * MS, 10_000 * MS) == 100 * MS
