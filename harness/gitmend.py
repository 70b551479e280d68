"""Finds what is damaged in a repository of the tool's own, and sets it aside.

What is gone afterwards is made again by whoever needs it: bases are imported, series applied. It
reads every byte, so it is called only when git has failed, or before files are taken from it.
"""

import hashlib
import re
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from harness import faults, gitrepo, log
from harness.errors import HostError
from harness.store import Store

_CHUNK = 1 << 20
_SHA1 = 20
_REF = re.compile(r"[0-9a-f]{40}\n")
# How long a git that lives may hold a lock of the repository, in seconds: it takes milliseconds.
_LOCK_S = 1.0
# And one that has half an object.
_STALE_S = 60.0


def mend(error: gitrepo.GitError, store: Store) -> None:
    """Set aside each damaged file of the repository that git failed in, and say so."""
    repo = error.repo
    log.warn(f"{error.message}; looking for what is damaged there")
    bad = [*_bad_loose(repo, _all_loose(repo)), *_bad_packs(repo), *_bad_refs(repo)]
    _set_aside(repo, bad, store)
    for lock in _stale_locks(repo):
        log.warn(f"{lock}: left by a git that was killed; deleted")
        lock.unlink(missing_ok=True)


def settle(error: HostError | OSError | MemoryError, store: Store) -> HostError:
    """Return the error that ends a job as the host's, with what it needs for the next one done."""
    if isinstance(error, gitrepo.GitError):
        # What else was read there is not known to be sound: the next run makes it again.
        mend(error, store)
    return error if isinstance(error, HostError) else faults.explain(error)


def sweep(repo: Path) -> None:
    """Delete the halves of objects that a git left which was killed long ago."""
    for path in (repo / "objects").glob("??/tmp_obj_*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()


def check_series(repo: Path, base: str, commit: str, store: Store) -> bool:
    """Return whether every object that a series added to its base is what its name says.

    git itself does not look: of a file that is sound but another's, it would take the wrong one.
    """
    if base == commit:
        return True
    listed = gitrepo.check(repo, ["rev-list", "--objects", "--no-object-names", commit, f"^{base}"])
    bad = list(_bad_loose(repo, listed.splitlines()))
    if bad:
        _set_aside(repo, bad, store)
    return not bad


def is_whole(path: Path) -> bool:
    """Whether a file of git's that ends with its own sum is as git wrote it."""
    return _sum_of(path) is not None


def _all_loose(repo: Path) -> Iterator[str]:
    for path in (repo / "objects").glob("??/*"):
        if not path.name.startswith("tmp_"):
            yield path.parent.name + path.name


def _bad_loose(repo: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        path = repo / "objects" / name[:2] / name[2:]
        try:
            data = zlib.decompress(path.read_bytes())
        except FileNotFoundError:
            continue  # in a pack, or in the user's own clone
        except zlib.error:
            data = b""
        if hashlib.sha1(data, usedforsecurity=False).hexdigest() != name:
            yield path


def _bad_packs(repo: Path) -> Iterator[Path]:
    for pack in (repo / "objects" / "pack").glob("*.pack"):
        index = pack.with_suffix(".idx")
        sums = [_sum_of(pack), _sum_of(index)]
        # An index ends with its pack's sum and its own.
        is_pair = index.is_file() and index.read_bytes()[-2 * _SHA1 : -_SHA1] == sums[0]
        if not all(sums) or not is_pair or pack.stem != f"pack-{(sums[0] or b'').hex()}":
            yield pack
            yield index


def _sum_of(path: Path) -> bytes | None:
    """Return the sum at the end of a pack or an index, or None if it is not that of the rest."""
    if not path.is_file() or path.stat().st_size <= _SHA1:
        return None
    sha, left = hashlib.sha1(usedforsecurity=False), path.stat().st_size - _SHA1
    with path.open("rb") as stream:
        while left:
            chunk = stream.read(min(left, _CHUNK))
            sha.update(chunk)
            left -= len(chunk)
        return sha.digest() if stream.read() == sha.digest() else None


def _bad_refs(repo: Path) -> Iterator[Path]:
    for path in (repo / "refs").rglob("*"):
        is_ref = path.is_file() and path.suffix != ".lock"
        if is_ref and not _REF.fullmatch(path.read_text(errors="replace")):
            yield path


def _stale_locks(repo: Path) -> list[Path]:
    found = {path: path.stat().st_ino for path in repo.rglob("*.lock")}
    if found:
        time.sleep(_LOCK_S)
    return [path for path, inode in found.items() if path.exists() and path.stat().st_ino == inode]


def _set_aside(repo: Path, bad: Iterable[Path], store: Store) -> None:
    # Which series had a part in it is not known: each is applied again when it is next used.
    for ref in (repo / "refs" / "trees").glob("*"):
        ref.unlink(missing_ok=True)
    for path in bad:
        log.warn(f"{path}: damaged; set aside, and made again")
        aside = store.root / "bad" / f"{path.name}-{secrets.token_hex(4)}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.rename(aside)
