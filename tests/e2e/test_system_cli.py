"""What is around containers, with the stock docker CLI over both doors: volumes, prune, networks, top."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]
both_doors = pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


def ok(engine: RunningEngine, *words: str, tls: bool = True) -> str:
    result = engine.docker(*words, tls=tls)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@both_doors
def test_a_volume_s_life(engine: RunningEngine, tls: bool) -> None:
    assert ok(engine, "volume", "create", "--label", "a=b", "data", tls=tls) == "data"
    assert ok(engine, "volume", "ls", "-q", "--filter", "label=a=b", tls=tls) == "data"
    shown = ok(engine, "volume", "inspect", "-f", "{{.Driver}} {{.Labels}} {{.Mountpoint}}", "data", tls=tls)
    assert shown == f"local map[a:b] {engine.root}/data/volumes/data/_data"
    ok(engine, "run", "--name", "user", "-v", "data:/data", "busybox", "sh", "-c", "echo kept >/data/file", tls=tls)
    used = engine.docker("volume", "rm", "data", tls=tls)
    assert used.returncode == 1 and "volume is in use" in used.stderr
    ok(engine, "rm", "user", tls=tls)
    assert ok(engine, "run", "--rm", "-v", "data:/data", "busybox", "cat", "/data/file", tls=tls) == "kept"
    assert ok(engine, "volume", "rm", "data", tls=tls) == "data"
    gone = engine.docker("volume", "inspect", "data", tls=tls)
    assert gone.returncode == 1 and "no such volume" in gone.stderr
    refused = engine.docker("volume", "create", "--opt", "type=tmpfs", "data", tls=tls)
    assert refused.returncode == 1 and 'missing required option: "device"' in refused.stderr


@both_doors
def test_what_is_not_there_is_no_such_object(engine: RunningEngine, tls: bool) -> None:
    missing = engine.docker("inspect", "nobody", tls=tls)
    assert missing.returncode == 1 and "No such object: nobody" in missing.stderr
    assert ok(engine, "plugin", "ls", "-q", tls=tls) == ""


def test_a_volume_made_by_a_mount_has_the_mount_s_labels(engine: RunningEngine) -> None:
    mount = "type=volume,source=labelled,target=/data,volume-label=a=b"
    ok(engine, "run", "--rm", "--mount", mount, "busybox", "true")
    assert ok(engine, "volume", "inspect", "-f", "{{.Labels}}", "labelled") == "map[a:b]"
    ok(engine, "volume", "rm", "labelled")


@both_doors
def test_prune_takes_what_nothing_uses(engine: RunningEngine, tls: bool) -> None:
    stopped = ok(engine, "run", "-d", "-v", "/cache", "busybox", "true", tls=tls)
    assert ok(engine, "wait", stopped, tls=tls) == "0"
    ok(engine, "volume", "create", "named", tls=tls)
    assert stopped in ok(engine, "container", "prune", "-f", tls=tls)
    assert "Total reclaimed space" in ok(engine, "volume", "prune", "-f", tls=tls)
    assert ok(engine, "volume", "ls", "-q", tls=tls) == "named"
    assert "named" in ok(engine, "volume", "prune", "-af", tls=tls)
    ok(engine, "image", "prune", "-f", tls=tls)
    assert ok(engine, "images", "-q", tls=tls)
    assert "Total reclaimed space: 0B" in ok(engine, "system", "prune", "-f", "--volumes", tls=tls)
    until = str(int(time.time()) + 1)
    events = ok(engine, "events", "--since", "1", "--until", until, "--filter", "event=prune", tls=tls)
    assert {line.split()[1] for line in events.splitlines()} == {"container", "volume", "image", "network", "builder"}


@both_doors
def test_networks_are_listed_and_inspected(engine: RunningEngine, tls: bool) -> None:
    listed = ok(engine, "network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}", tls=tls)
    assert listed.splitlines() == ["bridge bridge local", "host host local", "none null local"]
    container = ok(engine, "run", "-d", "--name", "member", "busybox", "sleep", "1000", tls=tls)
    try:
        [network] = json.loads(ok(engine, "network", "inspect", "bridge", tls=tls))
        [member] = json.loads(ok(engine, "inspect", "member", tls=tls))
        [configuration] = network["IPAM"]["Config"]
        endpoint = member["NetworkSettings"]["Networks"]["bridge"]
        assert configuration["Gateway"] == endpoint["Gateway"]
        assert ip_address(endpoint["IPAddress"]) in ip_network(configuration["Subnet"])
        shown = network["Containers"][container]
        assert shown["IPv4Address"] == f"{endpoint['IPAddress']}/{endpoint['IPPrefixLen']}"
        assert (shown["Name"], shown["MacAddress"]) == ("member", endpoint["MacAddress"])
    finally:
        ok(engine, "rm", "-f", "member", tls=tls)
    kept = engine.docker("network", "rm", "bridge", tls=tls)
    assert kept.returncode == 1 and "pre-defined network" in kept.stderr


@both_doors
def test_top_shows_the_container_s_processes_only(engine: RunningEngine, tls: bool) -> None:
    ok(engine, "run", "-d", "--name", "busy", "busybox", "sh", "-c", "sleep 1001 & sleep 1002; true", tls=tls)
    try:
        deadline = time.monotonic() + 30
        while len(lines := ok(engine, "top", "busy", tls=tls).splitlines()) < 4:
            assert time.monotonic() < deadline, lines
        assert lines[0].split()[:3] == ["UID", "PID", "PPID"] and len(lines) == 4
        assert {line.split()[-1] for line in lines[2:]} == {"1001", "1002"}
        pid = ok(engine, "inspect", "-f", "{{.State.Pid}}", "busy", tls=tls)
        assert pid in ok(engine, "top", "busy", "-o", "pid,args", tls=tls).split()
        wrong = engine.docker("top", "busy", "-o", "comm", tls=tls)
        assert wrong.returncode == 1 and "Couldn't find PID field" in wrong.stderr
    finally:
        ok(engine, "rm", "-f", "busy", tls=tls)
    gone = engine.docker("top", "busy", tls=tls)
    assert gone.returncode == 1 and "No such container" in gone.stderr


@both_doors
def test_info_tells_the_truth_about_engine_and_host(engine: RunningEngine, tls: bool) -> None:
    result = engine.docker("info", "--format", "{{json .}}", tls=tls)
    assert result.returncode == 0 and "WARNING" not in result.stderr, result.stderr
    info = json.loads(result.stdout)
    assert "ServerErrors" not in info or not info["ServerErrors"]
    assert (info["DockerRootDir"], info["Driver"]) == (f"{engine.root}/data", "overlay2")
    assert (info["NCPU"], info["KernelVersion"]) == (os.cpu_count(), os.uname().release)
    assert info["MemTotal"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert info["Images"] == 1 and info["LoggingDriver"] == "json-file" and info["DefaultRuntime"] == "crun"
    before = info["ContainersRunning"]
    ok(engine, "run", "-d", "--name", "counted", "busybox", "sleep", "1000", tls=tls)
    try:
        assert ok(engine, "info", "-f", "{{.ContainersRunning}} {{.ID}}", tls=tls) == f"{before + 1} {info['ID']}"
    finally:
        ok(engine, "rm", "-f", "counted", tls=tls)
    assert "Live Restore Enabled: true" in ok(engine, "info", tls=tls)


@both_doors
def test_the_disk_usage_counts_what_containers_wrote(engine: RunningEngine, tls: bool) -> None:
    write = "head -c 3000000 /dev/zero >/file; head -c 5000000 /dev/zero >/cache/file"
    ok(engine, "run", "--name", "writer", "-v", "cache:/cache", "busybox", "sh", "-c", write, tls=tls)
    try:
        shown = ok(engine, "system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}", tls=tls)
        rows = dict(line.split("|", 1) for line in shown.splitlines())
        assert rows["Containers"] == "1|0|3MB" and rows["Local Volumes"] == "1|1|5MB"
        assert rows["Images"].startswith("1|1|") and rows["Build Cache"] == "0|0|0B"
        assert "writer" in ok(engine, "system", "df", "-v", tls=tls)
    finally:
        ok(engine, "rm", "writer", tls=tls)
        ok(engine, "volume", "rm", "cache", tls=tls)
