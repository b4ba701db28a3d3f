"""The registrar process: root, and the only one with the CA's key.

- ``sources``: the files that decide, read into a snapshot.
- ``service``: the socket on which gate workers get snapshots and make calls.
- ``process``: settings, watching the files, lifetime.

It imports ``pki``, ``kernel``, ``http`` (to try TLS material), ``spec`` and ``base``, and decides about no request.
"""
