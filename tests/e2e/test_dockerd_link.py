"""A link named dockerd stands in for it: with its flags, its file, and certificates made as Docker's pages tell."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

TIDEGATE = Path(sys.executable).parent / "tidegate"
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(not TIDEGATE.exists(), reason="tidegate is not installed here"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine"),
    needs_cli,
]
MAKE_CERTIFICATES = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -subj /CN=own-ca -days 2 \
  -addext basicConstraints=critical,CA:TRUE
make() {
  openssl req -newkey rsa:2048 -nodes -keyout $1-key.pem -out $1.csr -subj /CN=$1
  printf "$2" > $1.cnf
  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out $1-cert.pem -days 2 -extfile $1.cnf
}
make server "subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth"
make client "extendedKeyUsage=clientAuth"
make another-server "extendedKeyUsage=serverAuth"
for name in client another-server; do
  mkdir $name; cp ca.pem $name/ca.pem; cp $name-cert.pem $name/cert.pem; cp $name-key.pem $name/key.pem
done
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    subprocess.run(["sh", "-ec", MAKE_CERTIFICATES], cwd=directory, check=True, capture_output=True)
    return directory


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bin") / "dockerd"
    path.symlink_to(TIDEGATE)
    return path


@pytest.fixture(scope="module")
def engine(link: Path, certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    work = tmp_path_factory.mktemp("work")
    file = {"log-driver": "json-file", "log-opts": {"max-size": "5m"}, "storage-driver": "overlay2", "debug": True}
    (work / "daemon.json").write_text(json.dumps(file))
    flags = [f"--tlscacert={certificates}/ca.pem", f"--tlscert={certificates}/server-cert.pem"]
    flags += ["--tlskey", f"{certificates}/server-key.pem", "--pidfile", f"{work}/pid"]
    flags += ["--config-file", f"{work}/daemon.json", "--containerd=/run/containerd/containerd.sock"]
    flags += ["--insecure-registry", "10.0.0.0/8", "--default-role", "admin"]
    with running_engine(*flags, program=(str(link),)) as running:
        yield running


def test_a_script_starts_it_and_clients_of_the_given_authority_run_containers(
    engine: RunningEngine, certificates: Path
) -> None:
    result = engine.docker("run", "--rm", "busybox", "echo", "hello", certificates=certificates / "client")
    assert (result.returncode, result.stdout) == (0, "hello\n"), result.stderr
    assert engine.docker("run", "--rm", "busybox", "echo", "hello", tls=False).stdout == "hello\n"
    info = json.loads(engine.docker("info", "--format", "json", tls=False).stdout)
    assert (info["LoggingDriver"], info["Debug"]) == ("json-file", True)
    assert "10.0.0.0/8" in info["RegistryConfig"]["InsecureRegistryCIDRs"]
    log = (engine.root / "log").read_text()
    assert "containerd: known to Docker, without effect here: there is no containerd" in log
    assert "storage-driver:" not in log


def test_the_purpose_of_a_given_certificate_is_checked(engine: RunningEngine, certificates: Path) -> None:
    result = engine.docker("version", certificates=certificates / "another-server")
    assert result.returncode != 0
    assert "tls: " in result.stderr, result.stderr


def test_the_pid_is_written_and_taken_away_again(link: Path, certificates: Path, engine: RunningEngine) -> None:
    pidfile = Path(engine.options[engine.options.index("--pidfile") + 1])
    assert pidfile.read_text() == f"{engine.process.pid}\n"
    assert Path(f"/proc/{engine.process.pid}/cmdline").read_bytes().split(b"\0")[1] == str(link).encode()


def test_its_version_is_told(link: Path) -> None:
    for flag in ("-v", "--version"):
        assert "tidegate" in subprocess.run([link, flag], capture_output=True, text=True, check=True).stdout.lower()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--no-such-flag"], "dockerd: unrecognized arguments: --no-such-flag"),
        (["run"], "dockerd: unrecognized arguments: run"),
        (["-H", "fd://"], "host: 'fd://' is neither unix:///PATH nor tcp://ADDRESS:PORT"),
        (["-H", "tcp://0.0.0.0:2375", "--tls=false"], "insist with --allow-plaintext"),
        (["--pidfile", "a", "-p", "b"], "--pidfile is given twice"),
        (["--config-file", "absent.json"], "absent.json: No such file or directory"),
        (["--config-file", "cut.json"], "cut.json: not valid JSON"),
        (["--config-file", "unknown.json"], "unknown.json: unknown key 'hots'"),
        (["--config-file", "kind.json"], "kind.json: tls: must be true or false"),
        (["--config-file", "twice.json"], "twice.json: the key 'tls' is given twice"),
        (["--config-file", "level.json", "--log-level", "info"], "log-level: given both as a flag and in the config"),
        (["--tlsverify", "--tlscacert", "junk.pem"], "tlscacert, tlscert and tlskey belong together"),
        (["--tlsverify", "--tlscacert=junk.pem", "--tlscert=junk.pem", "--tlskey=junk.pem"], "junk.pem"),
        (["--tlsverify", "--tlscacert=CA", "--tlscert=CERT", "--tlskey=OTHER"], "another-server-key.pem"),
        (["--shutdown-timeout", "soon"], "shutdown-timeout: 'soon' is no number"),
        (["--bridge", "a b"], "bridge"),
    ],
)
def test_a_wrong_start_is_one_clear_line(
    link: Path, certificates: Path, words: list[str], complaint: str, tmp_path: Path
) -> None:
    files = {"cut": "{", "unknown": '{"hots": []}', "kind": '{"tls": 1}', "twice": '{"tls": true, "tls": true}'}
    for name, text in {**files, "level": '{"log-level": "warn"}'}.items():
        (tmp_path / f"{name}.json").write_text(text)
    (tmp_path / "junk.pem").write_text("no certificate")
    own = {"CA": "ca.pem", "CERT": "server-cert.pem", "OTHER": "another-server-key.pem"}
    for name, file in own.items():
        words = [word.replace(f"={name}", f"={certificates}/{file}") for word in words]
    roots = ["--data-root", str(tmp_path / "data"), "--exec-root", str(tmp_path / "exec")]
    hosts = [] if "-H" in words else ["-H", f"unix://{tmp_path}/sock", "-H", "tcp://127.0.0.1:2376"]
    if not any(word.startswith("--tls") for word in words):
        hosts = hosts[:2]
    own_host = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$0" "$@"']
    command = [*own_host, link, *roots, *hosts, *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert result.returncode in (1, 2)
    assert complaint in result.stderr
    told = [line for line in result.stderr.splitlines() if not line.endswith("its message is above")]
    assert len(told) == 1, result.stderr
