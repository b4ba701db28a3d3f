"""Everything a gate worker decides on, as one immutable value that the registrar makes and sends.

A gate reads no file: what is not in the snapshot does not exist for it. The registrar sends a whole new one whenever a
file of the PKI or of the access rules has changed, so that there is no state between two of them.
"""

import msgspec


class ClientRecord(msgspec.Struct, frozen=True):
    """One certificate of our own CA; ``fingerprint`` is the SHA-256 of it, times are epoch seconds."""

    name: str
    role: str
    fingerprint: str
    not_after_s: int
    revoked_at_s: int | None = None
    reason: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, tag="snapshot"):
    """``ca_pem`` holds every trusted CA; all three texts are empty where no listener has TLS.

    - ``clients`` by serial number (``der.serial_text``). A certificate is ours only if the fingerprint fits as well:
      another CA may give the same number.
    - ``own_issuers`` and ``trusted_issuers`` are ``der.name_key`` of our own CAs and of all CAs in ``ca_pem``.
    - ``revoked`` are ``der.revocation_key`` of lists of other CAs; ``crl_until_s`` says until when each issuer's list
      may be relied on.
    - ``ocsp`` asks for every foreign certificate to be looked up before it is served.
    - ``access`` is the text of each file under DATA_ROOT/access, by name.
    """

    generation: int
    ca_pem: str = ""
    certificate_pem: str = ""
    key_pem: str = ""
    not_after_s: int = 0
    clients: dict[str, ClientRecord] = {}
    own_issuers: frozenset[str] = frozenset()
    trusted_issuers: frozenset[str] = frozenset()
    revoked: frozenset[str] = frozenset()
    crl_until_s: dict[str, int] = {}
    ocsp: bool = False
    access: dict[str, str] = {}

    def __repr__(self) -> str:
        """Without the key: a snapshot may end up in a log."""
        return f"Snapshot(generation={self.generation}, clients={len(self.clients)}, revoked={len(self.revoked)})"
