"""How fast each client goes, where its role sets a rate. Each worker of the gate counts for itself."""

from tidegate.access.limits.rate import Bucket, full_bucket, is_full, take
from tidegate.access.roles import Rate

_MOST_CLIENTS = 4096


class Rates:
    """Buckets by client. ``clock`` readings are the caller's: a monotonic clock."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[Rate, Bucket]] = {}

    def wait_s(self, owner: str, rate: Rate, now_s: float) -> float:
        """0 when the request may go on; else how long until the next one may."""
        known = self._buckets.get(owner)
        bucket = known[1] if known is not None and known[0] == rate else full_bucket(rate, now_s)
        taken = take(rate, bucket, now_s)
        if known is None and len(self._buckets) >= _MOST_CLIENTS:
            self._forget_the_idle(now_s)
        self._buckets[owner] = (rate, taken.bucket)
        return taken.wait_s

    def _forget_the_idle(self, now_s: float) -> None:
        self._buckets = {
            owner: (rate, bucket) for owner, (rate, bucket) in self._buckets.items() if not is_full(rate, bucket, now_s)
        }
