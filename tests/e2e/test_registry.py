"""Pulls from Debian's docker-registry, with and without a password; archives and imports; by the docker CLI."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine
from tests.kernel.debian_registry import DebianRegistry, debian_registry, is_listening, needs_registry

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"), needs_cli, needs_registry]
both_doors = pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])
OCI = "application/vnd.oci.image."


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


@pytest.fixture(scope="module", params=[False, True], ids=["open", "htpasswd"])
def registry(
    engine: RunningEngine, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DebianRegistry]:
    enter = ["nsenter", f"--net={engine.root}/netns"]

    def listens(port: int) -> bool:
        return engine.in_its_network(lambda: is_listening(port))

    port = 5001 if request.param else 5000
    root = tmp_path_factory.mktemp("registry")
    with debian_registry(root, port, password=request.param, enter=enter, listens=listens) as running:
        if request.param:
            assert login(engine, running, "p").returncode == 0
        yield running


def login(engine: RunningEngine, registry: DebianRegistry, password: str) -> "subprocess.CompletedProcess[str]":
    return engine.docker("login", "-u", "u", "--password-stdin", registry.host, stdin=password.encode())


def digest_of(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True)
class Pushed:
    """An image in the registry: ``manifest`` is raw, ``layers`` are digests."""

    name: str
    manifest: bytes
    layers: tuple[str, ...]

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def push(
    engine: RunningEngine, registry: DebianRegistry, name: str, tag: str, *, marks: tuple[str, ...] = ("m",),
    architecture: str = "amd64", damage: dict[str, Any] | None = None,
) -> Pushed:  # fmt: skip
    """busybox under a name in the registry, with a layer more for each mark, by raw requests."""
    with tarfile.open(fileobj=io.BytesIO(save(engine, "busybox"))) as archive:
        (entry,) = json.loads(member(archive, "manifest.json"))
        config = json.loads(member(archive, entry["Config"]))
        layers = [member(archive, layer) for layer in entry["Layers"]]
    plain = [tar_of(mark) for mark in marks]
    config["architecture"] = architecture
    config["rootfs"]["diff_ids"] += [digest_of(tar) for tar in plain]
    config["history"] = [{"created_by": "test"}] * len(config["rootfs"]["diff_ids"])
    config |= damage or {}
    blobs = [json.dumps(config).encode(), *layers, *plain]
    kinds = [OCI + "config.v1+json", *[OCI + "layer.v1.tar"] * (len(blobs) - 1)]
    parts = [
        {"mediaType": kind, "digest": digest_of(blob), "size": len(blob)}
        for kind, blob in zip(kinds, blobs, strict=True)
    ]
    document = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": parts[0], "layers": parts[1:]}
    raw = json.dumps(document).encode()

    def send() -> None:
        for blob in blobs:
            registry.put_blob(name, digest_of(blob), blob)
        registry.put_manifest(name, tag, OCI + "manifest.v1+json", raw)

    engine.in_its_network(send)
    return Pushed(f"{registry.host}/{name}", raw, tuple(str(part["digest"]) for part in parts[1:]))


def save(engine: RunningEngine, *images: str) -> bytes:
    command, environment = engine.cli("save", *images)
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout


def member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def tar_of(text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(text)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def stored(engine: RunningEngine) -> set[str]:
    """Every blob, layer and half-done upload the engine keeps."""
    data = engine.root / "data"
    found = [*data.glob("content/blobs/sha256/*"), *data.glob("content/ingest/*"), *data.glob("layers/*")]
    return {str(path.relative_to(data)) for path in found}


@both_doors
def test_pulls_by_tag_and_by_digest_and_runs(engine: RunningEngine, registry: DebianRegistry, tls: bool) -> None:
    before = stored(engine)
    pushed = push(engine, registry, f"team/by-tag-{tls}".lower(), "1", marks=("one", "two"))
    tagged = f"{pushed.name}:1"
    pulled = engine.docker("pull", tagged, tls=tls)
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stdout.splitlines()[-3:] == [
        f"Digest: {pushed.digest}", f"Status: Downloaded newer image for {tagged}", tagged
    ]  # fmt: skip
    assert f"Status: Image is up to date for {tagged}" in engine.docker("pull", tagged, tls=tls).stdout
    assert engine.docker("run", "--rm", tagged, "cat", "/two", tls=tls).stdout == "two"
    named = engine.docker("images", "--digests", "--format", "{{.Tag}} {{.Digest}}", pushed.name, tls=tls)
    assert named.stdout == f"1 {pushed.digest}\n"
    assert engine.docker("rmi", tagged, tls=tls).returncode == 0
    assert stored(engine) == before
    by_digest = engine.docker("run", "--rm", "-q", f"{pushed.name}@{pushed.digest}", "cat", "/one", tls=tls)
    assert by_digest.stdout == "one", by_digest.stderr
    assert engine.docker("rmi", f"{pushed.name}@{pushed.digest}", tls=tls).returncode == 0
    assert stored(engine) == before


def test_a_run_pulls_what_is_not_there(engine: RunningEngine, registry: DebianRegistry) -> None:
    pushed = push(engine, registry, "library/pulled", "latest")
    result = engine.docker("run", "--rm", pushed.name, "echo", "ran")
    assert (result.returncode, result.stdout) == (0, "ran\n")
    assert f"Unable to find image '{pushed.name}:latest' locally" in result.stderr
    assert f"Status: Downloaded newer image for {pushed.name}:latest" in result.stderr
    never = engine.docker("run", "--rm", "--pull", "never", f"{registry.host}/library/absent", "true")
    assert "No such image: " in never.stderr and never.returncode == 125
    assert engine.docker("rmi", pushed.name).returncode == 0


def test_what_is_not_in_the_registry_is_named(engine: RunningEngine, registry: DebianRegistry) -> None:
    push(engine, registry, "here", "1")
    before = stored(engine)
    for reference, complaint in [
        (f"{registry.host}/here:2", f"manifest for {registry.host}/here:2 not found: manifest unknown"),
        (f"{registry.host}/nowhere:1", f"manifest for {registry.host}/nowhere:1 not found: manifest unknown"),
        (f"{registry.host}/here@sha256:{'0' * 64}", "not found: manifest unknown"),
        (f"{registry.host}/Here", "invalid reference format"),
        ("127.0.0.1:1/here", 'Get "http://127.0.0.1:1/v2/": '),
    ]:
        result = engine.docker("pull", reference)
        assert result.returncode != 0
        assert complaint in result.stderr, (reference, result.stderr)
    assert stored(engine) == before


def test_passwords(engine: RunningEngine, registry: DebianRegistry) -> None:
    wrong = login(engine, registry, "wrong")
    if not registry.asks_for_password:
        assert wrong.returncode == 0
        assert engine.docker("logout", registry.host).returncode == 0
        return
    assert wrong.returncode != 0
    complaint = f"login attempt to http://{registry.host}/v2/ failed with status: 401 Unauthorized"
    assert complaint in wrong.stderr
    pushed = push(engine, registry, "secret", "1")
    assert engine.docker("logout", registry.host).returncode == 0
    denied = engine.docker("pull", f"{pushed.name}:1")
    assert denied.returncode != 0
    assert f"pull access denied for {pushed.name}" in denied.stderr
    assert "no basic auth credentials" in denied.stderr
    again = login(engine, registry, "p")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "Login Succeeded"), again.stderr
    assert engine.docker("pull", "-q", f"{pushed.name}:1").stdout == f"{pushed.name}:1\n"
    assert engine.docker("rmi", f"{pushed.name}:1").returncode == 0


def test_a_damaged_image_is_refused_and_leaves_nothing(engine: RunningEngine, registry: DebianRegistry) -> None:
    before = stored(engine)
    pushed = push(engine, registry, "damaged", "layer", marks=("good", "worse"))
    blob = registry.blob_path(pushed.layers[-1])
    blob.write_bytes(blob.read_bytes().replace(b"worse", b"w0rse"))
    result = engine.docker("pull", f"{pushed.name}:layer")
    assert result.returncode != 0
    assert f"filesystem layer verification failed for digest {pushed.layers[-1]}" in result.stderr
    assert stored(engine) == before
    config = {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{'1' * 64}"] * 2}}
    lying = push(engine, registry, "damaged", "config", damage=config)
    result = engine.docker("pull", f"{lying.name}:config")
    assert result.returncode != 0
    assert "diff" in result.stderr, result.stderr
    short = push(engine, registry, "damaged", "short", damage={"rootfs": {"type": "layers", "diff_ids": []}})
    result = engine.docker("pull", f"{short.name}:short")
    assert "invalid image: 2 layers, the config names 0" in result.stderr
    assert stored(engine) == before
    assert "damaged" not in engine.docker("images").stdout


def test_of_a_manifest_list_the_platform_s_image_is_taken(engine: RunningEngine, registry: DebianRegistry) -> None:
    images = {
        name: push(engine, registry, "many", name, marks=(name,), architecture=name) for name in ("amd64", "arm64")
    }
    entries = [
        {
            "mediaType": OCI + "manifest.v1+json",
            "digest": pushed.digest,
            "size": len(pushed.manifest),
            "platform": {"os": "linux", "architecture": name},
        }
        for name, pushed in images.items()
    ]
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": entries}).encode()
    engine.in_its_network(lambda: registry.put_manifest("many", "all", OCI + "index.v1+json", raw))
    many = f"{registry.host}/many:all"
    assert f"Digest: {digest_of(raw)}" in engine.docker("pull", many).stdout
    assert engine.docker("image", "inspect", "-f", "{{.Architecture}}", many).stdout == "amd64\n"
    assert engine.docker("run", "--rm", many, "cat", "/amd64").stdout == "amd64"
    assert engine.docker("pull", "--platform", "linux/arm64", many).returncode == 0
    assert engine.docker("image", "inspect", "-f", "{{.Architecture}}", many).stdout == "arm64\n"
    none = engine.docker("pull", "--platform", "linux/s390x", many)
    assert "no matching manifest for linux/s390x in the manifest list entries" in none.stderr
    for image in engine.docker("images", "-q", "--filter", f"reference={registry.host}/many").stdout.split():
        engine.docker("rmi", "-f", image)


@both_doors
def test_saved_images_are_loaded_again(engine: RunningEngine, tls: bool) -> None:
    assert engine.docker("tag", "busybox", "mine/box:1", tls=tls).returncode == 0
    assert engine.docker("tag", "busybox", "mine/box:2", tls=tls).returncode == 0
    image_id = engine.docker("image", "inspect", "-f", "{{.Id}}", "mine/box:1", tls=tls).stdout
    archive = save(engine, "mine/box:1", "mine/box:2")
    for tag in ("mine/box:1", "mine/box:2"):
        assert engine.docker("rmi", tag, tls=tls).returncode == 0
    loaded = engine.docker("load", tls=tls, stdin=archive)
    assert loaded.stdout == "Loaded image: mine/box:1\nLoaded image: mine/box:2\n", loaded.stderr
    assert engine.docker("image", "inspect", "-f", "{{.Id}}", "mine/box:2", tls=tls).stdout == image_id
    assert engine.docker("run", "--rm", "mine/box:2", "echo", "back", tls=tls).stdout == "back\n"
    assert engine.docker("rmi", "mine/box:1", "mine/box:2", tls=tls).returncode == 0


@both_doors
def test_a_folder_is_imported(engine: RunningEngine, tls: bool, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(tar_of("imported"))
    change = ["-c", 'CMD ["/bin/busybox"]', "-c", "ENV A=b", "-m", "by hand"]
    done = engine.docker("import", *change, str(tmp_path / "root.tar"), "imported:1", tls=tls)
    assert done.returncode == 0, done.stderr
    shown = engine.docker("image", "inspect", "-f", "{{.Id}} {{.Config.Cmd}} {{.Config.Env}}", "imported:1", tls=tls)
    assert shown.stdout == f"{done.stdout.strip()} [/bin/busybox] [A=b]\n"
    assert "by hand" in engine.docker("history", "imported:1", tls=tls).stdout
    assert engine.docker("rmi", "imported:1", tls=tls).returncode == 0


def test_archives_that_are_none_are_refused_and_leave_nothing(engine: RunningEngine) -> None:
    before = stored(engine)
    archive = save(engine, "busybox")
    for damaged, complaint in [
        (b"no archive at all", "invalid archive"),
        (b"\x1f\x8b" + os.urandom(100), "invalid archive"),
        (archive[: len(archive) // 2], "invalid archive"),
        (tar_of("manifest.json"), "invalid archive: manifest.json: "),
        (tar_of("something"), "invalid archive: does not contain a manifest.json"),
    ]:
        result = engine.docker("load", stdin=damaged)
        assert result.returncode != 0
        assert complaint in result.stderr, (damaged[:20], result.stderr)
        assert stored(engine) == before
    result = engine.docker("import", "-", "nothing:1", stdin=b"no archive at all, but longer than that" * 50)
    assert result.returncode != 0
    assert stored(engine) == before
    assert "nothing" not in engine.docker("images").stdout
