"""What a PKI needs as time goes by: renewals before anything ends, old records forgotten, warnings in time.

- The server's certificate and the clients whose files are kept here are renewed when they are due; everybody else
  renews by himself. What was revoked or has expired is nobody's to renew.
- Records outlive their certificates by RECORD_GRACE: `tidegate client ls --all` shows for so long what there was.
"""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from tidegate.base.durations import duration_text
from tidegate.pki import certificates as certs
from tidegate.pki.authority import Authority
from tidegate.pki.der import serial_text
from tidegate.pki.issued import IssueRecord
from tidegate.pki.joining.invitations import Invitations

RECORD_GRACE = timedelta(days=30)
_CA_NOTICE = timedelta(days=180)


def keep_up(authority: Authority) -> None:
    """Renew what is due, forget what is over. Raises as ``Authority.ensure_server`` does; nothing without a CA."""
    if not authority.ca_path.exists():
        return
    authority.adopt()
    if authority.is_server_due():
        authority.ensure_server()
    renew_kept(authority)
    now = authority.now()
    invitations = Invitations(authority.directory)
    with authority.changing(invitations.directory):
        for record in authority.records.all():
            if record.not_after + RECORD_GRACE < now:
                authority.records.drop(record)
        for invitation in invitations.all():
            if invitation.expires_at < now:
                invitations.remove(invitation)


def renew_kept(authority: Authority) -> None:
    """Renew, if due, the clients whose files are kept here. Raises as ``Authority.ensure_client`` does."""
    for directory in sorted(authority.directory.glob("clients/*")):
        path = directory / "cert.pem"
        if not path.exists():
            continue
        serial = serial_text(certs.decode_certificate(path.read_bytes(), str(path)).serial_number)
        records = authority.records.of(directory.name)
        if any(record.serial == serial and record.is_live(authority.now()) for record in records):
            authority.ensure_client(directory.name)


def warnings(authority: Authority, server: Path | None) -> list[str]:
    """What ends soon and nobody has renewed; ``server`` is the certificate in use, ours or not."""
    now = authority.now()
    found = []
    if server is not None and server.exists():
        certificate = certs.decode_certificate(server.read_bytes(), str(server))
        if is_ending(*_span(certificate), now):
            found.append(f"the server's certificate {server} ends in {_left(certificate.not_valid_after_utc, now)}")
    if authority.ca_path.exists():
        end = certs.decode_certificate(authority.ca_path.read_bytes(), str(authority.ca_path)).not_valid_after_utc
        if end - now < _CA_NOTICE:
            found.append(f"the CA ends in {_left(end, now)}: begin to change it, `tidegate pki rotate-ca --begin`")
        found += [_client_warning(record, now) for record in _ending_clients(authority.records.all(), now)]
    return found


def is_ending(begin: datetime, end: datetime, now: datetime) -> bool:
    """Whether the last quarter has begun: whoever renews by itself has done so long before."""
    return end - now < (end - begin) / 4


def _ending_clients(records: list[IssueRecord], now: datetime) -> list[IssueRecord]:
    """The last certificate of each client, where that one is ending."""
    last = {record.name: record for record in sorted(records, key=lambda each: each.not_after) if record.is_live(now)}
    ending = [record for record in last.values() if is_ending(record.issued_at, record.not_after, now)]
    return sorted(ending, key=lambda record: (record.not_after, record.name))


def _client_warning(record: IssueRecord, now: datetime) -> str:
    return f"the certificate of the client {record.name} ends in {_left(record.not_after, now)} and was not renewed"


def _span(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _left(end: datetime, now: datetime) -> str:
    return duration_text(end - now)
