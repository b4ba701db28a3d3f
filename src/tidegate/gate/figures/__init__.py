"""The gate's figures for Prometheus: counted by each worker, gathered and served by the first one (``metrics-addr``).

- ``tally``: what a worker counts.
- ``board``: where workers show their tallies to each other.
- ``page``: what is served, and the server of it.
"""
