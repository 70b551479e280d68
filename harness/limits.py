"""How much of this machine a build may take, and a look at what it does take.

A build that goes over a limit is at fault itself, so the defaults are far above what any needs.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from harness import proc, processes

_MIB = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 512  # what st_blocks counts in, whatever the file system's own size (stat(2))
# What a file costs besides its blocks.
_INODE = 4096
# Looking takes a fiftieth of the time at most, but is done twice a second.
_SHARE, _LONGEST_S = 50, 0.5


class Limits(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"time_s": "time", "memory_mib": "memory", "output_mib": "output", "disk_mib": "disk"},
):
    """What one call of make, of a compiler or of git may take; `[limits]` of harness.toml."""

    time_s: float = 7200.0
    memory_mib: int = 0
    """Of all its processes together; 0 is three quarters of the machine's."""
    processes: int = 4096
    """At once, each thread counted."""
    output_mib: int = 64
    disk_mib: int = 32768
    """What is in the folders that it may write, and the size of a single file."""

    @property
    def memory_bytes(self) -> int:
        """`memory_mib` in bytes, with what 0 stands for."""
        return self.memory_mib * _MIB or os.sysconf("SC_PHYS_PAGES") * _PAGE * 3 // 4

    @property
    def disk_bytes(self) -> int:
        """`disk_mib` in bytes."""
        return self.disk_mib * _MIB


DEFAULT = Limits()


class Watch:
    """Compares a running program with its limits. `outputs` are the files that take its output."""

    def __init__(self, limits: Limits, *, outputs: Sequence[Path], folders: Sequence[Path]) -> None:
        self._limits = limits
        self._outputs = outputs
        self._folders = folders
        self._end = time.monotonic() + limits.time_s
        self._next_look = 0.0
        self._weights = [_weight(folder) for folder in folders]

    def __call__(self, pid: int) -> None:
        """Look at the process `pid` and all below it.

        Raises:
            Breach: a limit is passed.
        """
        limits = self._limits
        now = time.monotonic()
        if now > self._end:
            raise proc.Breach(f"ran over {limits.time_s:g} s", hint=_hint("time"))
        if sum(path.stat().st_size for path in self._outputs) > limits.output_mib * _MIB:
            raise proc.Breach(f"printed more than {limits.output_mib} MiB", hint=_hint("output"))
        if now >= self._next_look:
            self._look_at_processes(pid)
            self._look_at_disk()
            took = time.monotonic() - now
            self._next_look = now + min(took * _SHARE, _LONGEST_S)

    def _look_at_processes(self, pid: int) -> None:
        limits = self._limits
        pids = processes.descendants(pid, at_most=limits.processes)
        threads = pages = 0
        for each in pids[: limits.processes + 1]:
            with suppress(OSError):
                # proc(5): the name may hold anything, so count from its last parenthesis.
                words = Path(f"/proc/{each}/stat").read_bytes().rpartition(b")")[2].split()
                threads += int(words[17])
                pages += int(words[21])
        if max(threads, len(pids)) > limits.processes:
            raise proc.Breach(
                f"had more than {limits.processes} processes at once", hint=_hint("processes")
            )
        if pages * _PAGE > limits.memory_bytes:
            raise proc.Breach(
                f"took more than {limits.memory_bytes // _MIB} MiB of memory", hint=_hint("memory")
            )

    def _look_at_disk(self) -> None:
        # Counting the files of a build takes a while, so only where the disk has become fuller.
        step = self._limits.disk_bytes // 8
        weights = [_weight(folder) for folder in self._folders]
        grown = zip(self._weights, weights, strict=True)
        if not any(now > before + step for before, now in grown):
            return
        self._weights = weights
        if sum(map(_size, self._folders)) > self._limits.disk_bytes:
            raise proc.Breach(
                f"wrote more than {self._limits.disk_mib} MiB to disk", hint=_hint("disk")
            )


def _hint(name: str) -> str:
    return f"if that is meant, `{name}` below `[limits]` of harness.toml allows more"


def _weight(folder: Path) -> int:
    """Return the bytes in use on a folder's file system, its inodes counted as `_size` does."""
    seen = os.statvfs(folder)
    return (seen.f_blocks - seen.f_bfree) * seen.f_frsize + (seen.f_files - seen.f_ffree) * _INODE


def _size(folder: Path) -> int:
    size = 0
    left = [os.fspath(folder)]
    while left:
        # It is being written: what was there a moment ago may be gone.
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * _BLOCK + _INODE
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
    return size
