"""The folders that builds are made in (O=), kept between builds so that little is made again.

The base and the user's own series share one a .config. The series of anybody else has its own,
which starts as a copy: what its build leaves there no other build reads.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import outdir, proc

# A few hundred MiB each: those last used are kept.
_MOST_OTHERS = 3


@contextmanager
def lend(shared: Path, owner: str) -> Iterator[Path]:
    """Yield the folder of `owner` ("": the shared one), made if it is not there.

    The caller holds the lane, and seals what a make has left of its own accord.
    """
    shared.parent.mkdir(parents=True, exist_ok=True)
    # As root a build may make set-uid programs of root's.
    shared.parent.chmod(0o700)
    folder = shared.with_name(f"{shared.name}-{owner}") if owner else shared
    if owner and not folder.is_dir():
        _make_room(shared)
        _copy(shared, folder)
    outdir.prepare(folder)
    os.utime(folder)
    yield folder


def discard(folder: Path) -> None:
    """Delete a folder whose build went too far: the disk is wanted back, and nothing in it is."""
    proc.remove_tree(folder)
    folder.mkdir(exist_ok=True)


def _make_room(shared: Path) -> None:
    others = [
        path for path in shared.parent.glob(f"{shared.name}-*") if path.is_dir() and not path.suffix
    ]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[_MOST_OTHERS - 1 :]:
        proc.remove_tree(path)
        for beside in (".log", ".seal"):
            path.with_suffix(beside).unlink(missing_ok=True)
        proc.remove_tree(outdir.temporary(path))


def _copy(shared: Path, folder: Path) -> None:
    if not shared.is_dir():
        return
    outdir.prepare(shared)
    half = folder.with_suffix(".half")
    proc.remove_tree(half)
    # Times and all, or make would start over; on some file systems it costs no space.
    proc.check(["cp", "-a", "--reflink=auto", str(shared), str(half)])
    half.rename(folder)
    outdir.seal(folder)
