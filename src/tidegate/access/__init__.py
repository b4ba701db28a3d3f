"""Who the client is and what the client may do: values and pure decisions, no I/O.

- ``principal``: the identity read from a certificate or from a unix peer, and its name as an owner.
- ``policy``, ``roles``, ``reach``: which role a principal has, and which operations each role reaches.
- ``asked``, ``confinement``, ``demands``, ``grants``: what a request asks for beyond what every confined role has, and
  whether a role was granted it.
- ``files``: the administrator's roles and bindings, read. ``rules``, ``questions``, ``cedar``: rules beyond roles.
- ``limits``: how much, and how often. ``objects``: whose they are, by which id they are sent on, what is shown of them.
- ``explanation``, ``learning``: a decision told step by step, and a policy learned from what was done.
- ``decision``, ``verdict``: the answer, and what the gate must still see to.
"""
