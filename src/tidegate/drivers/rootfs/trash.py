"""Directories on their way out: out of sight at once, deleted when there is time.

Deleting a container's files takes the disk from milliseconds to minutes, and nobody needs to wait for that: what is to
be gone is renamed into one directory, on the same filesystem, and a thread deletes whatever lies there. The thread
holds up no shutdown; what a stopped or killed engine had not deleted yet, the next one finds there.
"""

import errno
import logging
import os
import shutil
import threading
from pathlib import Path

_log = logging.getLogger(__name__)


class Trash:
    """Every method may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._filled = threading.Event()

    def put(self, path: Path) -> None:
        """Take ``path`` out of sight; one that is not there is success. Raises OSError."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        try:
            path.rename(self._directory / path.name)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.rmtree(path)  # on a disk of its own: nothing can be renamed across
        self._filled.set()

    def start(self) -> None:
        """Begin to delete, with what was left before."""
        self._filled.set()
        threading.Thread(target=self._run, name="trash", daemon=True).start()

    def empty(self) -> None:
        """Delete all that lies here now. What cannot be deleted is reported, and left to the next call."""
        for name in os.listdir(self._directory) if self._directory.is_dir() else ():  # noqa: PTH208 - names are enough
            try:
                shutil.rmtree(self._directory / name)
            except OSError as error:
                _log.error("cannot delete %s yet: %s", self._directory / name, error)

    def _run(self) -> None:
        while self._filled.wait():
            self._filled.clear()
            self.empty()
