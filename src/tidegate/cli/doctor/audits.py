"""Audits of Tidegate data roots: whether they can still be written, and whether their newest file is what was written.

The whole of an audit is ``tidegate audit verify``'s, which takes its time.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from tidegate.base.errors import TidegateError
from tidegate.cli.doctor.findings import Finding, Report, Severity
from tidegate.pki.audit.files import audit_files
from tidegate.pki.audit.memory import read_heads, signer_directory
from tidegate.pki.audit.reader import read_pieces
from tidegate.pki.audit.retention import before_first_line
from tidegate.pki.audit.signer import AuditVerifier, load_verifier
from tidegate.spec.audit.verify import Walk

LEAST_FREE_BYTES = 1024**3
LEAST_FREE_SHARE = 0.05


def look_at_audits(data_root: Path, report: Report, free: Callable[[Path], tuple[int, int]] | None = None) -> None:
    """``free`` tells total and free bytes of a file system. Nothing is said of a data root without an audit."""
    directory = data_root / "audit"
    files = audit_files(directory)
    if not files:
        return
    report.add(*judge_space(directory, *(free or _space)(directory)))
    try:
        verifier = load_verifier(signer_directory(data_root))
        newest = {path.name.split(".")[0]: path for path in files}
        for path in newest.values():
            report.add(*judge_newest(path, data_root, verifier))
    except (TidegateError, OSError) as error:
        report.not_looked_at.append(f"the audit of {data_root}: {error}")
        return
    report.looked_at.append(f"the newest of {len(files)} audit files in {directory}")


def judge_space(directory: Path, total_bytes: int, free_bytes: int) -> list[Finding]:
    """When the disk is full the gate refuses everything."""
    if free_bytes >= max(LEAST_FREE_BYTES, int(total_bytes * LEAST_FREE_SHARE)):
        return []
    what = f"{free_bytes // 1024**2} MB are free for the audit; when they are used up every request is refused"
    mend = "make room, archive old audit files, or start with --audit-files N"
    return [Finding("audit-disk-filling", Severity.MEDIUM, what, str(directory), mend)]


def judge_newest(path: Path, data_root: Path, verifier: AuditVerifier) -> list[Finding]:
    """One file: from whatever came before it to its end, which the signer remembers."""
    before = before_first_line(path)
    if before is None:
        return []  # nothing has been written to it yet
    chain, head = before
    remembered = read_heads(signer_directory(data_root)).get(chain)
    walk = Walk(chain, verifier.is_signed, remembered, dropped=head).run(read_pieces([path]))
    bad = [finding for finding in walk.findings if finding.is_tampering]
    if not bad:
        return []
    what = f"The audit was tampered with: {bad[0].text}"
    mend = "look at it with `tidegate audit verify`, and at who was root here"
    return [Finding("audit-tampered", Severity.CRITICAL, what, str(bad[0].place), mend)]


def _space(directory: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(directory)
    return usage.total, usage.free
