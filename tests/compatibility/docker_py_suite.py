"""docker-py's own integration suite against this engine, with local stand-ins for the images that it wants.

    python -m tests.compatibility.docker_py_suite CHECKOUT [pytest's options]

``CHECKOUT`` is a clone of docker-py, of which ``tests/`` is copied to a temporary directory: the library itself is the
installed one. What the suite needs besides is installed there too. Needs root, the docker CLI and Debian's
docker-registry. Modules about what is not built yet are left out; the rest is the score of docs/compatibility.md.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.e2e.running_engine import RunningEngine, running_engine
from tests.e2e.test_registry import push
from tests.kernel.debian_registry import DebianRegistry, debian_registry, is_listening

from tidegate.cli.image_command import BUSYBOX, busybox_archive, import_image

NOT_BUILT = (
    "api_build_test.py", "api_config_test.py", "api_network_test.py", "api_plugin_test.py", "api_secret_test.py",
    "api_service_test.py", "api_swarm_test.py", "models_networks_test.py", "models_nodes_test.py",
    "models_services_test.py", "models_swarm_test.py",
)  # fmt: skip
NOT_OF_THE_ENGINE = ("context_api_test.py", "credentials")  # the first forgets DOCKER_HOST for those after it
IMAGES = ("alpine:latest", "alpine:3.10", "busybox:latest", "busybox:1.35", "busybox:buildroot-2014.02")
PULLED = (("library/alpine", "latest"), ("library/alpine", "3.10"), ("library/hello-world", "latest"))
NEEDED = ("paramiko", "websocket-client")
PORT = 5000


def stand_in() -> bytes:
    """busybox with what the suite expects of alpine: a user and a directory."""
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    buffer = io.BytesIO(busybox_archive(BUSYBOX.read_bytes(), listed.stdout.split()))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        accounts = b"root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n"
        file = tarfile.TarInfo("etc/passwd")
        file.size = len(accounts)
        archive.addfile(file, io.BytesIO(accounts))
        for name in ("var/opt", "usr", "usr/local"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(directory)
    return buffer.getvalue()


def run_suite(engine: RunningEngine, registry: DebianRegistry, checkout: Path, options: list[str]) -> int:
    """pytest's exit code."""
    archive = stand_in()
    for name in IMAGES:
        import_image(engine.root / "docker.sock", name, archive)
    for name, tag in PULLED:
        push(engine, registry, name, tag)
    with tempfile.TemporaryDirectory(prefix="docker-py-") as place:
        shutil.copytree(checkout / "tests", Path(place) / "tests")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", f"{place}/needed", *NEEDED]
        subprocess.run(pip, check=True)
        environment = os.environ | {"DOCKER_HOST": f"unix://{engine.root}/docker.sock", "HOME": place}
        environment["PYTHONPATH"] = f"{place}/needed"
        left_out = [f"--ignore=tests/integration/{name}" for name in (*NOT_BUILT, *NOT_OF_THE_ENGINE)]
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=60", "-o", "addopts="]
        command = ["nsenter", f"--net={engine.root}/netns", *pytest, "tests/integration", *left_out, *options]
        return subprocess.run(command, cwd=place, env=environment, check=False).returncode


def main() -> int:
    checkout, *options = sys.argv[1:]
    with (
        running_engine("--registry-mirror", f"http://127.0.0.1:{PORT}") as engine,
        tempfile.TemporaryDirectory() as root,
    ):
        enter = ["nsenter", f"--net={engine.root}/netns"]

        def listens(port: int) -> bool:
            return engine.in_its_network(lambda: is_listening(port))

        with debian_registry(Path(root), PORT, password=False, enter=enter, listens=listens) as registry:
            return run_suite(engine, registry, Path(checkout).resolve(), options)


if __name__ == "__main__":
    sys.exit(main())
