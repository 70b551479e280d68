"""What a source answers when it is asked for a kernel version: a tarball, or why there is none."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from harness import notes
from harness.store import digest_of_file


class Tarball(msgspec.Struct, frozen=True, kw_only=True):
    """A verified tarball. `source` names the archive, the file and what it was held against."""

    path: Path
    source: str
    sha256: str

    def keep(self) -> "Tarball":
        """Note beside the file what it was held against: the next run can use it."""
        data = {"source": self.source, "sha256": self.sha256}
        notes.write(_note(self.path), self.path.name, data)
        return self

    def discard(self) -> None:
        """Delete the file: what was in it has been imported."""
        self.path.unlink(missing_ok=True)
        _note(self.path).unlink(missing_ok=True)


class Miss(msgspec.Struct, frozen=True, kw_only=True):
    """Why a source gave nothing. `has` are versions it does have, if it says."""

    source: str
    answer: str
    is_no: bool
    """It answered, and has no such version; False: it could not be asked."""
    has: tuple[str, ...] = ()


# Asked for a version; the folder is where to download to.
Source = Callable[[str, Path], "Tarball | list[Miss]"]


def kept(version: str, folder: Path) -> "Tarball | list[Miss]":
    """Return a tarball that an earlier run downloaded, verified and did not import."""
    for note in sorted(folder.glob(f"linux[-_]{version}.*.source")):
        path = note.with_suffix("")
        data = notes.read(note, path.name)
        if data and path.is_file() and digest_of_file(path) == data["sha256"]:
            return Tarball(path=path, source=data["source"], sha256=data["sha256"])
    return []


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.source")
