"""The gate's TLS as scanners see it: sslyze against Mozilla's profiles, OpenSSL against what must not be."""

import os
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces and mounts")
SSLYZE = "sslyze==6.3.1"
"""In an environment of its own: it wants another version of the library for certificates than we do."""


@pytest.fixture(scope="module")
def sslyze() -> Path:
    directory = Path(__file__).parents[2] / "build/sslyze"
    python = directory / "bin/python"
    if not (directory / ".done").exists():
        venv.create(directory, with_pip=True, clear=True)
        made = subprocess.run([python, "-m", "pip", "install", "-q", SSLYZE], capture_output=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"sslyze cannot be installed here: {made.stderr.decode()[-200:]}")
        (directory / ".done").touch()
    return python


@pytest.fixture(scope="module", params=["modern", "intermediate"])
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[str, RunningEngine]]:
    with running_engine(*(() if request.param == "modern" else ("--tls-profile", request.param))) as running:
        yield request.param, running


def in_its_network(engine: RunningEngine, *words: str) -> "subprocess.CompletedProcess[str]":
    command = ["nsenter", f"--net={engine.root}/netns", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_sslyze_finds_nothing_against_mozillas_profile(engine: tuple[str, RunningEngine], sslyze: Path) -> None:
    profile, running = engine
    ca = f"--certinfo_ca_file={running.root}/data/pki/ca.pem"
    found = in_its_network(running, str(sslyze), "-m", "sslyze", f"--mozilla_config={profile}", ca, "127.0.0.1:2376")
    assert "OK - Compliant" in found.stdout, found.stdout[found.stdout.find("COMPLIANCE AGAINST") :]


@pytest.mark.parametrize(
    ("options", "reached"),
    [
        (["-tls1_3"], {"modern", "intermediate"}),
        (["-tls1_2"], {"intermediate"}),
        (["-tls1_1"], set()),
        (["-groups", "P-521"], set()),
        (["-groups", "X448"], set()),
        (["-groups", "P-256"], {"modern", "intermediate"}),
        (["-tls1_2", "-cipher", "AES128-SHA256"], set()),
    ],
)
def test_only_what_the_profile_has_is_spoken(
    engine: tuple[str, RunningEngine], options: list[str], reached: set[str]
) -> None:
    profile, running = engine
    made = in_its_network(running, "openssl", "s_client", "-connect", "127.0.0.1:2376", *options)
    assert ("Cipher is (NONE)" not in made.stdout) == (profile in reached), made.stdout + made.stderr
