"""Takes what the operating system refused, gives the `HostError` that says it in one line.

A full disk is named even where the error itself names no file, as one of write(2) does not.
"""

import errno
import os
import tempfile
from pathlib import Path

from harness import paths
from harness.errors import HostError

# Bytes: with less than this left, a disk is full, and what just failed on it failed for that.
_FULL = 1 << 20

_ROOM = "free some space: `harness gc`, or set XDG_CACHE_HOME to a larger disk"
_WRITABLE = "set XDG_CACHE_HOME and XDG_STATE_HOME to folders that can be written"
_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: _WRITABLE,
    errno.EACCES: _WRITABLE,
    errno.EPERM: _WRITABLE,
    errno.ENOMEM: "close other programs, or add memory",
    errno.EAGAIN: "this machine allows no more processes: `ulimit -u`",
    errno.EMFILE: "this shell allows no more open files: `ulimit -n`",
    errno.EIO: "the disk is failing: look at `dmesg`",
}


def explain(error: OSError | MemoryError) -> HostError:
    """Return the error as the host's: what, where, what to do next."""
    if isinstance(error, MemoryError):
        return HostError("the tool ran out of memory", hint=_HINTS[errno.ENOMEM])
    where = error.filename
    if isinstance(where, bytes):
        where = os.fsdecode(where)
    if where is None and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        where = ", ".join(map(str, full_disks())) or None
    message = f"{error.strerror or error}{f': {where}' if where is not None else ''}"
    return HostError(message, hint=_HINTS.get(error.errno or 0))


def is_full(path: Path) -> bool:
    """Whether the disk that holds `path` has no room to speak of, or no more files."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        room = os.statvfs(path)
    except OSError:
        return False
    # Some file systems count no files at all.
    return room.f_bavail * room.f_frsize < _FULL or (room.f_files > 0 and room.f_favail == 0)


def full_disks() -> list[Path]:
    """Return those of the tool's folders whose disks are full: the cache, the runs, /tmp."""
    folders = (paths.cache_dir(), paths.state_dir(), Path(tempfile.gettempdir()))
    return [folder for folder in folders if is_full(folder)]
