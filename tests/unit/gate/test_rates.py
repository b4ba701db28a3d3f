"""A client that goes too fast waits; others do not, and a changed rate counts at once."""

from tidegate.access.roles import Rate
from tidegate.gate.rates import Rates

TWO = Rate(per_second=2, burst=2)


def test_each_client_has_a_rate_of_its_own() -> None:
    rates = Rates()
    assert [rates.wait_s("a", TWO, 0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert rates.wait_s("b", TWO, 0.0) == 0.0
    assert rates.wait_s("a", TWO, 0.5) == 0.0


def test_a_changed_rate_begins_anew() -> None:
    rates = Rates()
    for _ in range(3):
        rates.wait_s("a", TWO, 0.0)
    assert rates.wait_s("a", Rate(per_second=1, burst=1), 0.0) == 0.0


def test_clients_that_rest_are_forgotten_and_those_that_hurry_are_not() -> None:
    rates = Rates()
    for number in range(4096):
        rates.wait_s(f"idle-{number}", TWO, 0.0)
    for _ in range(2):
        rates.wait_s("busy", TWO, 100.0)
    assert rates.wait_s("busy", TWO, 100.0) > 0
    assert len(rates._buckets) < 10
