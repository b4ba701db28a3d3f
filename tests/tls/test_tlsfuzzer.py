"""tlsfuzzer's scripts against the gate's listener: nothing fails but what ``tlsfuzzer.json`` gives a reason for.

``TIDEGATE_TLSFUZZER=DIR`` names a checkout of https://github.com/tlsfuzzer/tlsfuzzer; its Python needs ``tlslite-ng``
(``TIDEGATE_TLSFUZZER_PYTHON``, by default this one). Without it everything here is skipped. Scripts with very many
conversations make a random choice of them at each run. All of it takes some five minutes.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import tidegate

CHECKOUT = os.environ.get("TIDEGATE_TLSFUZZER", "")
PYTHON = os.environ.get("TIDEGATE_TLSFUZZER_PYTHON", sys.executable)
HERE = Path(__file__).parent
KNOWN: dict[str, Any] = json.loads((HERE / "tlsfuzzer.json").read_text())
SIGNATURES = (
    "ecdsa_secp256r1_sha256 ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512 ed25519 ed448 rsa_pss_pss_sha256 "
    "rsa_pss_pss_sha384 rsa_pss_pss_sha512 rsa_pss_rsae_sha256 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512 "
    "rsa_pkcs1_sha256 rsa_pkcs1_sha384 rsa_pkcs1_sha512 ecdsa_sha224 rsa_pkcs1_sha224"
)
"""What OpenSSL asks client certificates to be signed with, in its order."""
TIMEOUT_S = 300

needs_tlsfuzzer = pytest.mark.skipif(
    not CHECKOUT, reason="TIDEGATE_TLSFUZZER names no checkout of tlsfuzzer: see docs/security.md"
)


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
def port(request: pytest.FixtureRequest, directory: Path) -> Iterator[int]:
    package = Path(tidegate.__file__).parent
    environment = {**os.environ, "OPENSSL_CONF": str(package / "http/openssl.cnf"), "PYTHONPATH": str(package.parent)}
    with subprocess.Popen(
        [sys.executable, HERE / "listener.py", *request.param.split()],
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as listener:
        assert listener.stdout is not None
        yield int(listener.stdout.readline())
        listener.communicate(timeout=30)


def failures_in(output: str) -> set[str]:
    """The conversations that a script's summary lists as failed."""
    _, found, rest = output.partition("\nFAILED:\n")
    return set(re.findall(r"^\t'(.*)'$", rest, re.MULTILINE)) if found else set()


@needs_tlsfuzzer
@pytest.mark.parametrize(
    ("port", "run"),
    [pytest.param(run["listener"], run, id=f"{run['script']}-{run['listener']}") for run in KNOWN["runs"]],
    indirect=["port"],
)
def test_nothing_fails_without_a_reason(port: int, run: dict[str, Any], directory: Path) -> None:
    words = [SIGNATURES if word == "{sigalgs}" else word for word in shlex.split(run.get("arguments", ""))]
    done = subprocess.run(
        [PYTHON, f"{CHECKOUT}/scripts/{run['script']}.py", "-p", str(port), *words],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": CHECKOUT},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert "\nTOTAL: " in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    failed, reasons = failures_in(done.stdout), run.get("fails", {})
    assert not {name for name in failed if not any(fnmatchcase(name, pattern) for pattern in reasons)}
    assert done.returncode == 0 or failed


def test_every_reason_is_given_and_used() -> None:
    used = {reason for run in KNOWN["runs"] for reason in run.get("fails", {}).values()}
    assert used <= set(KNOWN["reasons"])
    assert len({(run["script"], run["listener"]) for run in KNOWN["runs"]}) == len(KNOWN["runs"])


def test_a_summary_is_read() -> None:
    assert failures_in("TOTAL: 2\n====\nFAILED:\n\t'one, two'\n\t'it's'\n") == {"one, two", "it's"}
    assert failures_in("TOTAL: 2\n====\n") == set()
