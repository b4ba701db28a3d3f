"""The files of an installation on disk, below a root that is ``/`` or a staging directory, and the record of them.

The record names a file before the file is written, and until it is gone: a run that was killed anywhere is completed
by the next one, and nothing is left that no record knows.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.cli.installation.plan import Fate, Record, digest
from tidegate.pki.durable_files import PUBLIC_MODE, write_durably


class Installed:
    """``root`` is where paths begin; the record lies below ``prefix``. Every method may raise OSError."""

    def __init__(self, root: Path, prefix: Path) -> None:
        self._root = root
        self.record_path = prefix / "lib/tidegate/installed.json"

    def place(self, path: Path) -> Path:
        """Where ``path`` is on this host."""
        return self._root / path.relative_to("/")

    def record(self) -> Record | None:
        """None where nothing was installed. Raises InvalidParameterError for one that cannot be read."""
        place = self.place(self.record_path)
        if not place.exists():
            return None
        try:
            return msgspec.json.decode(place.read_bytes(), type=Record)
        except msgspec.MsgspecError as error:
            raise InvalidParameterError(f"{place} is no record of an installation: {error}") from error

    def there(self, paths: Iterable[Path]) -> dict[Path, bytes]:
        """The contents of those that exist. Raises InvalidParameterError for one that is no plain file."""
        found = {}
        for path in paths:
            place = self.place(path)
            if place.is_symlink() or (place.exists() and not place.is_file()):
                raise InvalidParameterError(f"{place} is no plain file: move it away first")
            if place.exists():
                found[path] = place.read_bytes()
        return found

    def apply(self, fates: Mapping[Path, Fate], contents: Mapping[Path, bytes], before: Record, after: Record) -> None:
        """Make the fates true; the record is ``after`` when all are."""
        made = self._missing_directories([*fates, self.record_path])
        directories = tuple(dict.fromkeys((*before.directories, *made)))
        hashes = {**before.files, **after.files}
        self._write(self.record_path, _encoded(Record(after.version, after.docker_group, hashes, directories)))
        for path, fate in fates.items():
            if fate in (Fate.WRITTEN, Fate.REPLACED):
                self._write(path, contents[path])
            elif fate is Fate.REMOVED:
                self.place(path).unlink(missing_ok=True)
        self._write(self.record_path, _encoded(Record(after.version, after.docker_group, after.files, directories)))

    def remove(self, fates: Mapping[Path, Fate], record: Record) -> None:
        """Take away what is to be removed, the record, and the directories made for it that are empty now."""
        for path, fate in fates.items():
            if fate is Fate.REMOVED:
                self.place(path).unlink(missing_ok=True)
        self.place(self.record_path).unlink(missing_ok=True)
        for text in reversed(record.directories):
            place = self.place(Path(text))
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()

    def _write(self, path: Path, content: bytes) -> None:
        place = self.place(path)
        if place.exists() and digest(place.read_bytes()) == digest(content):
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        write_durably(place, content, PUBLIC_MODE)

    def _missing_directories(self, paths: Iterable[Path]) -> list[str]:
        """Those that have to be made, outer ones first."""
        parents = {parent for path in paths for parent in path.parents if not self.place(parent).exists()}
        return [str(parent) for parent in sorted(parents)]


def _encoded(record: Record) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n"
