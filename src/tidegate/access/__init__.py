"""Who the client is and what the client may do: values and pure decisions, no I/O.

- ``principal``: the identity read from a certificate or from a unix peer.
- ``decide``: the verdict on one operation. Roles, policies and revocation grow there.
"""
