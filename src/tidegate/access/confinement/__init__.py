"""What a request demands beyond what every confined role has: documents and queries in, claims out.

One module for each kind of object. A claim is a ``Demand``, which a grant answers, or an ``ObjectReference``, which the
gate looks up and whose owner has to be the client.

- Every rule stands on its own: it does not rely on the classes of ``spec`` to find what it must refuse.
- The classes are the backstop: a field that is dangerous, or confined without a rule here that looked at it, becomes a
  demand of its own.
- Symlinks below a host path, and what an image or a Dockerfile does, cannot be seen in a document.
"""

from tidegate.access.confinement.claims import Claim, claims_of

__all__ = ["Claim", "claims_of"]
