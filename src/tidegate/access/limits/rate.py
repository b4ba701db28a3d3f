"""A client's rate of requests: a token bucket as a value. The clock is the caller's."""

import msgspec

from tidegate.access.roles import Rate


class Bucket(msgspec.Struct, frozen=True):
    """``tokens`` at ``at_s``, a reading of a monotonic clock."""

    tokens: float
    at_s: float


class Taken(msgspec.Struct, frozen=True):
    """``wait_s`` is 0 when the request may go on, else how long until the next one may."""

    bucket: Bucket
    wait_s: float


def full_bucket(rate: Rate, now_s: float) -> Bucket:
    """What a client begins with."""
    return Bucket(float(rate.burst), now_s)


def take(rate: Rate, bucket: Bucket, now_s: float) -> Taken:
    """Take one token; a request that is refused costs none. A clock that went back gives none."""
    elapsed_s = max(now_s - bucket.at_s, 0.0)
    tokens = min(bucket.tokens + elapsed_s * rate.per_second, float(rate.burst))
    at_s = max(now_s, bucket.at_s)
    if tokens >= 1:
        return Taken(Bucket(tokens - 1, at_s), 0.0)
    return Taken(Bucket(tokens, at_s), (1 - tokens) / rate.per_second)


def full_at_s(rate: Rate, bucket: Bucket) -> float:
    """When the bucket will be full, if nothing is taken."""
    return bucket.at_s + max(rate.burst - bucket.tokens, 0.0) / rate.per_second
