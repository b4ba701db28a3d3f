"""How many descriptors a process may have open (getrlimit(2))."""

import resource


def raise_descriptor_limit() -> int:
    """Allow this process as many as it may ask for; returns the soft limit before, which is its children's due."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def set_descriptor_limit(soft: int) -> None:
    """Set the soft limit, as far as the hard one allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
