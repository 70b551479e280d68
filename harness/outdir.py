"""The O= folder of a build, kept between builds: sealed when make has ended by itself.

kbuild believes an object that is newer than its source, and a compiler, linker or objtool that is
killed leaves a newer one, cut short. So whatever is not as the last good make left it is deleted
before the next one starts: what a killed build wrote, and what anybody has damaged.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from harness import log, proc
from harness.store import digest_of, write_atomically

# Name within the folder → (size, when its content changed, when anything of it did), in bytes and
# nanoseconds. The last cannot be set at will.
_Seal = dict[str, tuple[int, int, int]]
_DIGEST = 64


def prepare(out: Path) -> None:
    """Make the folder what the last good make left, less what has changed since."""
    sealed = _read(_path(out))
    if sealed is None:
        if out.exists():
            log.warn(f"{out}: no build of it was ever finished; built anew")
            proc.remove_tree(out)
    else:
        strange = [name for name, facts in _scan(out) if sealed.get(name) != facts]
        for name in strange:
            (out / name).unlink()
        if strange:
            log.warn(f"{out}: {len(strange)} files are not as make left them; made again")
    out.mkdir(parents=True, exist_ok=True)
    proc.remove_tree(temporary(out))
    temporary(out).mkdir()


def temporary(out: Path) -> Path:
    """Return where the build's compilers have their temporary files: what is left there goes."""
    return out.with_suffix(".tmp")


def seal(out: Path, *, remember: Callable[[int], None] | None = None) -> None:
    """Note how make has left the folder, of its own accord: as built, or after an error.

    `remember` is told first when the newest file was written, in nanoseconds of the epoch: what
    is sealed is used again, so its time must be known by then.
    """
    seen = dict(_scan(out))
    if remember:
        remember(max((facts[1] for facts in seen.values()), default=0))
    data = msgspec.json.encode(seen)
    write_atomically(_path(out), digest_of(data).encode() + data)


def _path(out: Path) -> Path:
    return out.with_suffix(".seal")


def _read(path: Path) -> _Seal | None:
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, data = whole[:_DIGEST], whole[_DIGEST:]
    if digest_of(data).encode() != digest:
        return None
    return msgspec.json.decode(data, type=_Seal)


def _scan(out: Path) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Yield each file's name and facts; 5,000 files take a twentieth of a second."""
    folders = [os.fspath(out)]
    top = len(folders[0]) + 1
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                seen = entry.stat(follow_symlinks=False)
                yield entry.path[top:], (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
