"""The files that decide who is admitted and what they may do, read into a snapshot.

- A read gives all of it or an error that names the file; never a mixture with what was read before.
- TLS material is tried as a server would use it, so that no gate is sent what it could not load.
"""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.http.tls_context import context_of_texts
from tidegate.pki.der import certificate_facts, split_pem, with_issuer
from tidegate.pki.durable_files import make_private_directory
from tidegate.pki.issued import IssuedRecords, IssueRecord
from tidegate.pki.snapshot import ClientRecord, Snapshot

if TYPE_CHECKING:
    from tidegate.pki.foreign.revocation_lists import RevocationLists

_STREAM_GRACE_S = 24 * 3600
_ACCESS_FILE_BYTES = 4 * 1024 * 1024


class TLSFiles(msgspec.Struct, frozen=True):
    """What a TLS listener needs; each may hold several certificates."""

    ca: Path
    certificate: Path
    key: Path


class ForeignChecks(msgspec.Struct, frozen=True):
    """How certificates of other CAs are checked beyond their signature: lists of revocations, a responder."""

    crls: tuple[Path, ...] = ()
    ocsp: bool = False


class Sources:
    """``tls`` None: no listener has TLS. Our own PKI is read wherever it is; it may be absent."""

    def __init__(
        self,
        data_root: Path,
        tls: TLSFiles | None,
        foreign: ForeignChecks | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._pki = data_root / "pki"
        self._access = data_root / "access"
        self._tls = tls
        self._now_s = now_s
        self._records = IssuedRecords(self._pki)
        self._foreign = foreign or ForeignChecks()
        self._lists: RevocationLists | None = None
        self._made: dict[str, tuple[IssueRecord, ClientRecord]] = {}
        self._tried = ("", "", "")

    def directories(self) -> list[Path]:
        """Where a change may come; those of our own are made. Raises OSError."""
        own = [self._records.directory, self._pki / "next", self._access]
        for directory in own:
            make_private_directory(directory)
        found = [self._pki, *own]
        files = self._foreign.crls
        if self._tls is not None:
            files += (self._tls.ca, self._tls.certificate, self._tls.key)
        for path in files:
            found += [path.parent, path.resolve().parent]
        return list(dict.fromkeys(found))

    def read(self, changed: Collection[str] | None = None) -> Snapshot:
        """With generation 0; ``changed`` are the names of the files that may have changed since, None for any.

        Raises InvalidParameterError naming the file that cannot be used, OSError.
        """
        own = frozenset(certificate_facts(der).subject for der in self._own_authorities())
        clients = self._clients(self._records.present(changed))
        access = {path.name: _text(path) for path in sorted(self._access.glob("[!.]*")) if path.is_file()}
        if self._tls is None:
            return Snapshot(generation=0, clients=clients, own_issuers=own, access=access)
        ca_pem, certificate_pem, key_pem = (_text(p) for p in (self._tls.ca, self._tls.certificate, self._tls.key))
        if self._tls.ca.resolve() == (self._pki / "ca.pem").resolve():  # however it was named
            ca_pem = self._own_bundle()
        self._try(self._tls, (ca_pem, certificate_pem, key_pem))
        authorities = split_pem(ca_pem, str(self._tls.ca))
        revoked, crl_until_s = self._revocations(authorities)
        trusted = [certificate_facts(der) for der in authorities]
        server = certificate_facts(split_pem(certificate_pem, str(self._tls.certificate))[0])
        return Snapshot(
            generation=0,
            ca_pem=ca_pem,
            certificate_pem=with_issuer(certificate_pem, authorities),
            key_pem=key_pem,
            not_after_s=server.not_after_s,
            clients=clients,
            own_issuers=own,
            trusted_issuers=frozenset(ca.subject for ca in trusted if ca.key not in revoked),
            revoked=revoked,
            crl_until_s=crl_until_s,
            ocsp=self._foreign.ocsp,
            access=access,
        )

    def _revocations(self, authorities: Sequence[bytes]) -> tuple[frozenset[str], dict[str, int]]:
        if not self._foreign.crls:
            return frozenset(), {}
        from tidegate.pki.foreign.revocation_lists import (
            RevocationLists,  # the library for certificates: not for nothing
        )

        if self._lists is None:
            self._lists = RevocationLists(self._foreign.crls)
        read = self._lists.read(authorities)
        return read.revoked, dict(read.until_s)

    def _own_authorities(self) -> list[bytes]:
        path = self._pki / "ca.pem"
        return split_pem(self._own_bundle(), str(path)) if path.exists() else []

    def _own_bundle(self) -> str:
        paths = (self._pki / "ca.pem", self._pki / "next/ca.pem")
        return "".join(dict.fromkeys(_text(path) for path in paths if path.exists()))

    def _try(self, files: TLSFiles, texts: tuple[str, str, str]) -> None:
        if texts == self._tried:
            return
        try:
            context_of_texts(*texts)
        except InvalidParameterError as error:
            named = f"{files.ca}, {files.certificate}, {files.key}"
            raise InvalidParameterError(f"cannot load TLS files {named}: {error}") from error
        self._tried = texts

    def _clients(self, records: Sequence[IssueRecord]) -> dict[str, ClientRecord]:
        """An expired certificate is kept for a while: its connection may live on, and is to be told why it is cut."""
        self._made = {each.serial: self._client(each) for each in records}
        least_s = self._now_s() - _STREAM_GRACE_S
        return {serial: client for serial, (_, client) in self._made.items() if client.not_after_s > least_s}

    def _client(self, record: IssueRecord) -> tuple[IssueRecord, ClientRecord]:
        made = self._made.get(record.serial)
        return made if made is not None and made[0] is record else (record, _client(record))


def _client(record: IssueRecord) -> ClientRecord:
    revoked_at_s = int(record.revoked_at.timestamp()) if record.revoked_at else None
    not_after_s = int(record.not_after.timestamp())
    return ClientRecord(record.name, record.role, record.fingerprint, not_after_s, revoked_at_s, record.reason)


def _text(path: Path) -> str:
    content = path.read_bytes()
    if len(content) > _ACCESS_FILE_BYTES:
        raise InvalidParameterError(f"{path} is larger than {_ACCESS_FILE_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameterError(f"{path} is not text in UTF-8") from error
