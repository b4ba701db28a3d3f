"""Security options, seen from inside the container."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]
HAS_APPARMOR = Path("/sys/module/apparmor/parameters/enabled").exists()
NO_CHMOD = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
    "syscalls": [{"names": ["chmod", "fchmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO"}],
}


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


def run(engine: RunningEngine, *options: str, script: str) -> tuple[str, str]:
    done = engine.docker("run", "--rm", "--network", "none", *options, "busybox", "sh", "-c", script)
    return done.stdout.strip(), done.stderr


def option(*options: str) -> list[str]:
    return [word for each in options for word in ("--security-opt", each)]


def test_a_profile_of_the_client_s(engine: RunningEngine, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(NO_CHMOD))
    script = "touch /x; chmod 700 /x; grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status | tr -d '\\n'"
    for more in ([], ["--privileged"]):
        out, error = run(engine, *option(f"seccomp={profile}"), *more, script=script)
        assert "Operation not permitted" in error and "Seccomp:\t2" in out
    out, error = run(engine, *option("seccomp=unconfined", "no-new-privileges"), script=script)
    assert error == "" and out == "NoNewPrivs:\t1Seccomp:\t0"
    profile.write_text("{}")
    assert "defaultAction is missing" in run(engine, *option(f"seccomp={profile}"), script="true")[1]


def test_the_engine_s_own_profile(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(NO_CHMOD))
    script = "touch /x; chmod 700 /x"
    with running_engine("--seccomp-profile", str(profile)) as running:
        assert "Operation not permitted" in run(running, script=script)[1]
        assert run(running, *option("seccomp=builtin"), script=script) == ("", "")
        host = [
            "run",
            "--rm",
            "--network",
            "host",
            "--add-host",
            "gw:host-gateway",
            "busybox",
            "grep",
            "gw",
            "/etc/hosts",
        ]
        gateway = running.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge").stdout
        assert running.docker(*host).stdout.split() == [gateway.strip(), "gw"]


def test_masks_of_system_paths(engine: RunningEngine) -> None:
    script = "grep -c -E ' /proc/sys ' /proc/mounts"
    assert run(engine, script=script)[0] == "1"
    assert run(engine, *option("systempaths=unconfined"), script=script)[0] == "0"


def test_what_the_host_cannot_enforce(engine: RunningEngine) -> None:
    assert run(engine, *option("label=disable"), script="echo runs")[0] == "runs"
    if not Path("/sys/fs/selinux/enforce").exists():
        assert "this host has no SELinux" in run(engine, *option("label=type:x_t"), script="true")[1]
    if not HAS_APPARMOR:
        assert run(engine, *option("apparmor=unconfined"), script="echo runs")[0] == "runs"
        assert "this host has no AppArmor" in run(engine, *option("apparmor=mine"), script="true")[1]


@pytest.mark.skipif(not HAS_APPARMOR, reason="no AppArmor on this machine")
@pytest.mark.skipif(shutil.which("apparmor_parser") is None, reason="apparmor_parser is not installed")
def test_containers_are_confined_by_apparmor(engine: RunningEngine) -> None:
    script = "cat /proc/self/attr/current; echo 1 > /proc/sys/kernel/shm_rmid_forced && echo written"
    unmasked = option("systempaths=unconfined")
    assert run(engine, *unmasked, script=script)[0].splitlines() == ["tidegate-default (enforce)", "written"]
    mount, script = [*unmasked, "--cap-add", "SYS_ADMIN"], "mkdir -p /m; mount -t tmpfs x /m && echo mounted"
    out, error = run(engine, *mount, script=script)
    assert out == "" and "ermission denied" in error
    unconfined = option("apparmor=unconfined")
    assert run(engine, *mount, *unconfined, script=script)[0] == "mounted"
    assert "(enforce)" not in run(engine, *unconfined, script="cat /proc/self/attr/current")[0]
    assert "no such profile is loaded" in run(engine, *option("apparmor=mine"), script="true")[1]
    started = engine.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    assert started.returncode == 0, started.stderr
    assert engine.docker("exec", "box", "cat", "/proc/1/attr/current").stdout.startswith("tidegate-default")
    assert engine.docker("exec", "box", "cat", "/proc/self/attr/current").stdout.startswith("tidegate-default")
    assert engine.docker("stop", "-t", "5", "box").returncode == 0
    engine.docker("rm", "-f", "box")
