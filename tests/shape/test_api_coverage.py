"""docs/api-coverage.md says which operations the engine answers; it is made here, and must be what it was made from.

``TIDEGATE_UPDATE=1 make test-one T=tests/shape/test_api_coverage.py`` writes it anew.
"""

import os
from pathlib import Path

from tidegate.daemon.process_settings import EngineProcessSettings
from tidegate.daemon.wiring import Engine
from tidegate.spec.catalogue import OPERATIONS

PAGE = Path(__file__).resolve().parents[2] / "docs/api-coverage.md"


def coverage(implemented: set[str]) -> str:
    """The page."""
    lines = [
        "# API coverage",
        "",
        "Made from the catalogue of operations and the engine's handlers by `tests/shape/test_api_coverage.py`. An",
        "operation that is not built answers 501 with its name. API versions 1.24 to 1.56.",
        "",
        f"{len(implemented)} of {len(OPERATIONS)} operations.",
    ]
    for group in dict.fromkeys(operation.group for operation in OPERATIONS):
        lines += ["", f"## {group}", "", "| operation | request | built |", "|---|---|---|"]
        for operation in OPERATIONS:
            if operation.group == group:
                built = "yes" if operation.operation_id in implemented else "no"
                lines.append(f"| {operation.operation_id} | `{operation.method} {operation.template}` | {built} |")
    return "\n".join(lines) + "\n"


def test_the_page_tells_what_the_engine_answers(tmp_path: Path) -> None:
    settings = EngineProcessSettings(
        parent_pid=os.getpid(),
        data_root=tmp_path / "data",
        exec_root=tmp_path / "exec",
        sockets=(),
        gate_socket=tmp_path / "gate.sock",
    )
    handlers = set(Engine(settings).handlers())
    assert handlers <= {operation.operation_id for operation in OPERATIONS}
    page = coverage(handlers)
    if os.environ.get("TIDEGATE_UPDATE"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page
