"""Locks between processes, on files."""

import fcntl
import os
from pathlib import Path

from harness import log


class Lock:
    """A file lock that goes with the object or the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def __del__(self) -> None:
        self.release()

    @property
    def fd(self) -> int:
        """The open file. A child that inherits it holds the lock for as long as it lives."""
        if self._fd is None:
            raise ValueError(self._path)
        return self._fd

    def acquire(self, *, shared: bool = False, blocking: bool = True, what: str = "") -> bool:
        """Take the lock, or change its mode; say why if that means waiting for another process.

        Returns whether it is held: False only with `blocking=False`.
        """
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        while True:
            if self._fd is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            if not _flock(self._fd, mode | fcntl.LOCK_NB):
                if not blocking:
                    self.release()
                    return False
                log.say(f"waiting for another harness: {what or self._path.name}")
                fcntl.flock(self._fd, mode)
            if self._is_current(self._fd):
                return True
            # The file was removed between our open and our lock: lock the new one.
            self.release()

    def release(self) -> None:
        """Give the lock back; no error if it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def remove(self) -> None:
        """Delete the lock's file while holding it exclusively, and give it back."""
        self._path.unlink(missing_ok=True)
        self.release()

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False


def _flock(fd: int, mode: int) -> bool:
    try:
        fcntl.flock(fd, mode)
    except BlockingIOError:
        return False
    return True
