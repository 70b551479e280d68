"""The folders that builds are made in (O=), kept between builds so that little is made again.

The base and the user's own series share one a .config. The series of anybody else has its own,
which starts as a copy: what its build leaves there no other build reads.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness import log, proc

# A few hundred MiB each: those last used are kept.
_MOST_OTHERS = 3


@contextmanager
def lend(shared: Path, owner: str) -> Iterator[Path]:
    """Yield the folder of `owner` ("": the shared one), made if it is not there.

    The caller holds the lane. What a build that was killed has half made is removed first.
    """
    shared.parent.mkdir(parents=True, exist_ok=True)
    # As root a build may make set-uid programs of root's.
    shared.parent.chmod(0o700)
    folder = shared.with_name(f"{shared.name}-{owner}") if owner else shared
    mark = folder.with_suffix(".building")
    _repair(folder, mark)
    if owner and not folder.is_dir():
        _make_room(shared)
        _copy(shared, folder)
    folder.mkdir(exist_ok=True)
    os.utime(folder)
    mark.touch()
    try:
        yield folder
    finally:
        # Who kills the tool leaves it.
        mark.unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Delete a folder whose build went too far: the disk is wanted back, and nothing in it is."""
    proc.remove_tree(folder)
    folder.mkdir(exist_ok=True)


def _repair(folder: Path, mark: Path) -> None:
    """Remove what was written since `mark`: make takes a file that was cut short for a new one."""
    with suppress(FileNotFoundError):
        since = mark.stat().st_mtime_ns
        log.note(f"{folder}: the last build was cut short; what it wrote is made again")
        for top, _, names in os.walk(folder):
            for path in (Path(top) / name for name in names):
                if path.lstat().st_mtime_ns >= since:
                    path.unlink()


def _make_room(shared: Path) -> None:
    others = [path for path in shared.parent.glob(f"{shared.name}-*") if path.is_dir()]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[_MOST_OTHERS - 1 :]:
        proc.remove_tree(path)
        path.with_suffix(".log").unlink(missing_ok=True)


def _copy(shared: Path, folder: Path) -> None:
    if not shared.is_dir():
        return
    half = folder.with_suffix(".half")
    proc.remove_tree(half)
    # Times and all, or make would start over; on some file systems it costs no space.
    proc.check(["cp", "-a", "--reflink=auto", str(shared), str(half)])
    half.rename(folder)
