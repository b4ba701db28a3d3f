"""The units of systemd, as text and as systemd itself judges them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.cli.installation.plan import unit_facts
from tidegate.cli.installation.units import ENGINE, GATE, TARGET, UnitFacts, units
from tidegate.daemon.config import decide_config

FACTS = UnitFacts(
    (sys.executable, "-m", "tidegate"), Path("/etc/t.json"), Path("/var/lib/tidegate"), Path("/run/tidegate")
)
MOST_EXPOSED = 4.0
needs_analysis = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here: the package systemd has it"
)


def test_containers_outlive_the_engines_unit() -> None:
    engine = units(FACTS)[ENGINE].splitlines()
    assert {"KillMode=process", "Delegate=yes", "RuntimeDirectoryPreserve=yes", "Type=notify"} <= set(engine)
    inherited = (
        "NoNewPrivileges",
        "SystemCallFilter",
        "Protect",
        "Private",
        "Restrict",
        "CapabilityBoundingSet",
        "OOM",
    )
    assert not [line for line in engine if line.startswith(inherited)]


def test_the_gate_is_confined_and_reaches_what_it_writes() -> None:
    gate = units(FACTS)[GATE].splitlines()
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "StateDirectory=tidegate"} <= set(gate)
    assert not [line for line in gate if line.startswith("ReadWritePaths")]
    (calls,) = [line for line in gate if line.startswith("SystemCallFilter")]
    assert {"chroot", "seccomp"} <= set(calls.split())  # the decoy, and the workers' own filter: in no wider group
    config = decide_config({"data-root": "/srv/tide gate", "exec-root": "/run/deep/tidegate"}, {})
    sockets = (Path("/run/ci/a.sock"), Path("/srv/tide gate/b.sock"))
    elsewhere = units(unit_facts(("/root/venv/bin/tidegate",), config, sockets))[GATE].splitlines()
    assert {'ReadWritePaths="/srv/tide gate"', "ReadWritePaths=/run/ci", "RuntimeDirectory=deep/tidegate"} <= set(
        elsewhere
    )
    assert "ProtectHome=read-only" in elsewhere
    linked = unit_facts(("/opt/venv/bin/tidegate",), config, (), (Path("/home/me/tidegate/src/tidegate/__init__.py"),))
    assert "ProtectHome=read-only" in units(linked)[GATE].splitlines()
    assert not [line for line in elsewhere if line.startswith("StateDirectory")]


def test_programs_are_found_wherever_they_are() -> None:
    lines = [line for text in units(FACTS).values() for line in text.splitlines() if line.startswith("Exec")]
    assert len(lines) == 4
    assert all(line.partition("=")[2].startswith("/") for line in lines)


def test_words_are_escaped() -> None:
    facts = UnitFacts(("/opt/a b/100%/$x",), Path("/etc/t.json"), Path("/var/lib/t"), Path("/run/t"))
    assert (
        'ExecStart="/opt/a b/100%%/$$x" engine --config-file /etc/t.json $TIDEGATE_ENGINE_FLAGS' in units(facts)[ENGINE]
    )


@needs_analysis
def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    for name, text in units(FACTS).items():
        (tmp_path / name).write_text(text)
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    paths = [str(tmp_path / name) for name in (ENGINE, GATE, TARGET)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths], env=environment, capture_output=True, text=True, check=False
    )
    faults = [line for line in done.stderr.splitlines() if "tidegate" in line]
    assert (done.returncode, faults) == (0, []), done.stderr


@needs_analysis
def test_systemd_thinks_the_gate_well_confined(tmp_path: Path) -> None:
    (tmp_path / GATE).write_text(units(FACTS)[GATE])
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(tmp_path / GATE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert exposure is not None, done.stdout + done.stderr
    assert float(exposure[1]) <= MOST_EXPOSED, done.stdout
