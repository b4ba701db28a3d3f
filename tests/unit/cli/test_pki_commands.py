"""``tidegate`` and ``tidegate pki`` as typed: output, exit codes, one-line errors, cheap start."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tidegate.cli.main import main


def pki(root: Path, *words: str) -> int:
    return main(["pki", *words, "--data-root", str(root)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    assert pki(root, "init", "--tls-san", "docker.example") == 0
    return root


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == main(["--version"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("tidegate ")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main(["--help"]), main([])) == (0, 2)
    assert "pki" in capsys.readouterr().out


def test_nothing_heavy_is_imported_for_a_usage_error() -> None:
    check = "import sys; from tidegate.cli.main import main\ntry: main(['pki', 'client'])\nexcept SystemExit: pass\n"
    check += "sys.exit(any(m in sys.modules for m in ('cryptography', 'asyncio', 'ssl')))"
    assert subprocess.run([sys.executable, "-c", check], stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ["client"], ["client", "../x"], ["client", "bob", "--days", "0"], ["server", "--tls-san", "a b"], ["nonsense"],
        ["client", "bob", "--out", "x", "--context", "y"], ["client", "bob", "--host", "h"], ["init", "--tls", "x"],
    ],
)  # fmt: skip
def test_usage_errors(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        pki(tmp_path, *words)
    assert raised.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frobnicate"]) == 2
    assert capsys.readouterr().err == "tidegate: unknown command 'frobnicate' (see `tidegate --help`)\n"


def test_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pki(tmp_path, "client", "bob") == 1
    assert capsys.readouterr().err.startswith("tidegate pki: no CA at ")
    (tmp_path / "file").touch()
    assert pki(tmp_path / "file", "init") == 1
    assert capsys.readouterr().err == f"tidegate pki: {tmp_path}/file/pki: Not a directory\n"


def test_context_cannot_replace_a_directory(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "target"
    target.mkdir()
    assert pki(made, "client", "dora", "--context", str(target)) == 1
    assert capsys.readouterr().err == f"tidegate pki: {target}: Is a directory\n"
    assert list(tmp_path.iterdir()) == [target]


def test_out_writes_what_docker_looks_for_and_spares_other_keys(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / ".docker"
    assert pki(made, "client", "bob", "--out", str(out)) == 0
    assert {p.name: oct(p.stat().st_mode & 0o777) for p in out.iterdir()} == {
        "ca.pem": "0o644", "cert.pem": "0o644", "key.pem": "0o600",
    }  # fmt: skip
    assert pki(made, "client", "bob", "--days", "9", "--out", str(out)) == 0
    before = {p: p.read_bytes() for p in out.iterdir()}
    assert pki(made, "client", "carol", "--out", str(out)) == 1
    assert {p: p.read_bytes() for p in out.iterdir()} == before


def test_context_archive(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dora.tar"
    assert pki(made, "client", "dora", "--context", str(path), "--host", "docker.example") == 0
    assert capsys.readouterr().err == ""
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        modes = {entry.name: entry.mode for entry in archive}
        meta = archive.extractfile("meta.json")
        assert meta is not None
        endpoints = json.load(meta)["Endpoints"]
    assert modes == {"meta.json": 0o644} | {f"tls/docker/{n}.pem": 0o600 for n in ("ca", "cert", "key")}
    assert endpoints == {"docker": {"Host": "tcp://docker.example:2376", "SkipTLSVerify": False}}


def test_context_for_a_name_the_server_has_not(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pki(made, "client", "dora", "--context", str(tmp_path / "x.tar"), "--host", "no.example") == 0
    assert "pki server --tls-san no.example" in capsys.readouterr().err
    assert pki(made, "client", "dora", "--context", str(tmp_path / "missing" / "x.tar")) == 1


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker CLI on this machine")
def test_docker_imports_the_context(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "eve.tar"
    assert pki(made, "client", "eve", "--context", str(path), "--host", "docker.example:2376") == 0
    environment = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(tmp_path / "config")}
    for words in (["import", "eve", str(path)], ["inspect", "eve"]):
        done = subprocess.run(
            ["docker", "context", *words], env=environment, capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
    (inspected,) = json.loads(done.stdout)
    assert inspected["Endpoints"]["docker"]["Host"] == "tcp://docker.example:2376"
    assert sorted(inspected["TLSMaterial"]["docker"]) == ["ca.pem", "cert.pem", "key.pem"]


def test_data_root_on_either_side_of_the_action(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pki", "--data-root", str(made), "ls"]) == 0
    before = capsys.readouterr().out
    assert main(["pki", "ls", "--data-root", str(made)]) == 0
    assert capsys.readouterr().out == before
    assert "admin" in before


def test_reader_gone_before_the_output(made: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    words = [sys.executable, "-m", "tidegate", "pki", "ls", "--data-root", str(made)]
    done = subprocess.run(words, stdout=write_end, stderr=subprocess.PIPE, timeout=30, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, b"")


def test_ls(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pki(made, "ls") == 0
    rows = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert ["client", "admin", "valid"] in rows
    assert ["server", "server", "valid"] in rows
