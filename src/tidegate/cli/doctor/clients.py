"""Clients of a Tidegate data root that were given a certificate and never came: doors that nobody uses."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from tidegate.base.errors import TidegateError
from tidegate.cli.doctor.findings import Finding, Report, Severity
from tidegate.pki.audit.files import audit_files
from tidegate.pki.audit.reader import group_by_chain, read_lines
from tidegate.pki.issued import IssuedRecords, IssueRecord
from tidegate.spec.audit.chain import Line
from tidegate.spec.audit.records import Decision, Kind

GRACE = timedelta(days=14)
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"


def look_at_clients(data_root: Path, report: Report, now: datetime | None = None) -> None:
    """Compare what was issued with what the audit saw. Nothing is said of a data root without an audit."""
    directory = data_root / "audit"
    try:
        records = IssuedRecords(data_root / "pki").all()
        files = audit_files(directory)
        if not files:
            return
        seen, began = seen_certificates(read_lines(group_by_chain(files)))
    except (TidegateError, OSError) as error:
        report.not_looked_at.append(f"clients of {data_root}: {error}")
        return
    report.add(*judge(records, seen, began, now or datetime.now(UTC), data_root))
    report.looked_at.append(f"{len(records)} clients of {data_root}")


def seen_certificates(lines: Iterable[Line]) -> tuple[set[str], datetime | None]:
    """Serial numbers in the audit, and when it began."""
    seen: set[str] = set()
    began: datetime | None = None
    for line in lines:
        if began is None:
            began = datetime.strptime(line.time[:19], _TIME_FORMAT).replace(tzinfo=UTC)
        if line.kind == Kind.DECISION:
            seen.add(msgspec.json.decode(line.raw, type=Decision).certificate)
    return seen, began


def judge(
    records: list[IssueRecord], seen: set[str], began: datetime | None, now: datetime, data_root: Path
) -> Iterator[Finding]:
    """Live certificates, older than GRACE, that the audit would have seen and did not."""
    for record in records:
        if not record.is_live(now) or record.serial in seen or now - record.issued_at < GRACE:
            continue
        if began is None or began > record.issued_at + GRACE:
            continue  # it may have come before anybody took note
        what = f"{record.name} ({record.role}) was given a certificate on {record.issued_at:%Y-%m-%d} and never came"
        mend = f"tidegate client revoke {record.serial}"
        yield Finding("client-never-came", Severity.LOW, what, f"{data_root}, serial {record.serial}", mend)
