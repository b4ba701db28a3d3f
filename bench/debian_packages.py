"""Debian's docker.io, fetched and unpacked aside: nothing is installed and no service of the host starts.

(Installing it would start a dockerd that owns the host's firewall and /var/lib/docker.)
"""

import subprocess
from pathlib import Path

PACKAGES = ("docker.io", "containerd", "runc", "libdevmapper1.02.1")


def unpack(directory: Path) -> Path:
    """The packages unpacked under ``directory``, fetched when they are not there. CalledProcessError without apt."""
    root = directory / "root"
    if not (root / "usr/sbin/dockerd").exists():
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES], cwd=directory, check=True
        )
        for archive in directory.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True)
    return root


def version(directory: Path) -> str:
    """As the unpacked package's file name says it."""
    name = next(directory.glob("docker.io_*.deb")).name
    return name.split("_")[1]
