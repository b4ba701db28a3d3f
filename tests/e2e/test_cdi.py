"""Devices that the host describes in files, seen from inside the container."""

import json
import os
import shutil
from collections.abc import Iterator

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]
NVIDIA = """
cdiVersion: 0.6.0
kind: nvidia.com/gpu
devices:
  - name: all
    containerEdits:
      env: [GPU=all]
      deviceNodes: [{path: /dev/gpu0, hostPath: /dev/kmsg, permissions: w}]
      mounts: [{hostPath: DIRECTORY, containerPath: /driver, options: [ro, bind]}]
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    directory = tmp_path_factory.mktemp("cdi")
    (directory / "gpu.yaml").write_text(NVIDIA.replace("DIRECTORY", str(directory)))
    with running_engine("--cdi-spec-dir", str(directory)) as running:
        yield running


def run(engine: RunningEngine, *words: str) -> tuple[str, str]:
    done = engine.docker("run", "--rm", "--network", "none", *words)
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize("options", [["--device", "nvidia.com/gpu=all"], ["--gpus", "all"]])
def test_a_described_device_is_there(engine: RunningEngine, options: list[str]) -> None:
    script = "echo $GPU; ls /driver; : 3> /dev/gpu0 && echo opened; head -c1 /dev/gpu0"
    out, error = run(engine, *options, "busybox", "sh", "-c", script)
    assert out.split() == ["all", "gpu.yaml", "opened"], error
    assert "Operation not permitted" in error


def test_a_device_that_nobody_describes_is_named(engine: RunningEngine) -> None:
    error = run(engine, "--device", "acme.com/dev=x", "busybox", "true")[1]
    assert "CDI device injection failed: unresolvable CDI devices acme.com/dev=x" in error
    shown = engine.docker("info", "-f", "{{json .CDISpecDirs}}").stdout
    assert json.loads(shown) == [engine.options[-1]]
