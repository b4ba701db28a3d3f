"""``tidegate image seed``: a small ``busybox`` image where no registry is at hand, made of Debian's busybox-static.

The archive is made in memory and imported through the engine's own API on its unix socket.
"""

import argparse
import http.client
import io
import json
import socket
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from tidegate.base.errors import InternalError, NotFoundError, UnavailableError

BUSYBOX = Path("/bin/busybox")
DEFAULT_SOCKET = Path("/run/tidegate.sock")
_DEADLINE_S = 120
_FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
}
_CHANGES = ('CMD ["sh"]', "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    seed = actions.add_parser("seed", help="import a busybox image made of busybox-static", allow_abbrev=False)
    seed.add_argument("--socket", type=Path, default=DEFAULT_SOCKET, metavar="PATH", help="the engine's unix socket")
    seed.add_argument("--tag", default="busybox:latest", metavar="NAME", help="what the image is called")


def run(args: argparse.Namespace) -> int:
    if not BUSYBOX.exists():
        raise NotFoundError(f"{BUSYBOX} is not there: install the Debian package busybox-static")
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    image_id = import_image(args.socket, args.tag, busybox_archive(BUSYBOX.read_bytes(), listed.stdout.split()))
    print(f"{args.tag} {image_id}")
    return 0


def busybox_archive(program: bytes, applets: Sequence[str]) -> bytes:
    """A root filesystem as a tar: the program, a link for each applet, accounts and the usual directories."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var", 0o755)):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, mode
            archive.addfile(directory)
        for name, content, mode in (("bin/busybox", program, 0o755), *((n, c, 0o644) for n, c in _FILES.items())):
            file = tarfile.TarInfo(name)
            file.size, file.mode = len(content), mode
            archive.addfile(file, io.BytesIO(content))
        for applet in sorted(set(applets) - {"busybox"}):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777
            archive.addfile(link)
    return buffer.getvalue()


def import_image(socket_path: Path, tag: str, archive: bytes) -> str:
    """POST the archive to the engine; returns the image's id. Raises UnavailableError, InternalError."""
    connection = http.client.HTTPConnection("localhost", timeout=_DEADLINE_S)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(_DEADLINE_S)
    try:
        connection.sock.connect(str(socket_path))
        changes = "".join(f"&changes={quote(change)}" for change in _CHANGES)
        target = f"/images/create?fromSrc=-&repo={quote(tag)}{changes}"
        connection.request("POST", target, archive, {"Content-Type": "application/x-tar"})
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except OSError as error:
        raise UnavailableError(f"no engine answers at {socket_path} ({error}): start it with `tidegate up`") from error
    finally:
        connection.close()
    if answer.status != http.client.OK or "status" not in document:
        raise InternalError(f"the engine refused the image: {document.get('message', document)}")
    return str(document["status"])
