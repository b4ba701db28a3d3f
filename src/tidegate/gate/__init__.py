"""The gate process: the front door on 2376, without privileges.

- ``pipeline``: identify, match, decide, log, forward: the path of one request.
- ``forward``: sending a request on to the engine's unix socket, and splicing both ways after a take-over.
- ``process``: listeners, TLS material, giving up root.

It imports ``access``, ``pki``, ``http``, ``spec`` and ``base``, and touches neither kernel, disk state nor containers.
"""
