"""Clients of Debian's, fetched and unpacked aside: 13's Compose and buildx, as plugins of whatever docker CLI is here,
and 12's Compose.

Those of 13 are Go programs that run on Debian 12 too; 12's own Compose is 1.29, another program, in Python.
"""

import subprocess
from pathlib import Path

DIRECTORY = Path(__file__).parents[2] / "build/clients"
PACKAGES = ("docker-compose", "docker-buildx")
_PYTHON = "attr certifi charset-normalizer chardet distro docker dockerpty docopt dotenv idna jsonschema pyrsistent \
requests six texttable urllib3 websocket yaml"
_PACKAGES_V1 = ("docker-compose", *(f"python3-{name}" for name in _PYTHON.split()))
_SOURCES = """Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def unpack_plugins(directory: Path = DIRECTORY) -> Path:
    """The folder of the CLI's plugins, fetched when it is not there.

    CalledProcessError or FileNotFoundError where apt cannot fetch.
    """
    root = directory / "root"
    plugins = root / "usr/libexec/docker/cli-plugins"
    if not all((plugins / name).exists() for name in PACKAGES):
        apt = ["apt-get", "-qq", *_own_state(directory)]
        subprocess.run([*apt, "update"], check=True, capture_output=True)
        subprocess.run([*apt, "download", *PACKAGES], cwd=directory, check=True, capture_output=True)
        for archive in directory.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True)
    return plugins


def unpack_compose_v1(directory: Path = DIRECTORY.parent / "compose-v1") -> Path:
    """The root of Debian 12's Compose with docker-py 5, for its own Python (``/usr/bin/python3``).

    CalledProcessError or FileNotFoundError where apt cannot fetch.
    """
    root = directory / "root"
    if not (root / "usr/bin/docker-compose").exists():
        directory.mkdir(parents=True, exist_ok=True)
        fetch = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *_PACKAGES_V1]
        subprocess.run(fetch, cwd=directory, check=True, capture_output=True)
        for archive in directory.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True)
    return root


def _own_state(directory: Path) -> list[str]:
    """Options that keep apt from reading or writing what the host knows of packages."""
    for name in ("lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    (directory / "status").touch()
    (directory / "trixie.sources").write_text(_SOURCES)
    settings = {
        "APT::Sandbox::User": "root",
        "Dir::Etc::SourceList": f"{directory}/trixie.sources",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": f"{directory}/lists",
        "Dir::State::Status": f"{directory}/status",
        "Dir::Cache": f"{directory}/cache",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
