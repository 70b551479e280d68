"""Takes QEMU's process, says how much time this machine has given to its guest.

Wall time says nothing of a guest on a busy machine. What counts is the time in which it ran, or
slept of its own accord: not that in which it waited for a CPU or a disk, or was stopped.
"""

import os
import time
from pathlib import Path

import msgspec

# A tool that looks less often than this was itself stopped or starved: what it missed is not
# held against the guest, whose console nobody read.
_GAP_MAX_S = 2.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# In /proc/PID/stat, counted from what follows the name, which may hold anything: state, utime.
_STATE, _UTIME, _STIME = 0, 11, 12
_STOPPED = frozenset({"T", "t"})
# Ready to run, or in the midst of I/O.
_WAITS = frozenset({"R", "D"})


class _Thread(msgspec.Struct, frozen=True):
    """A thread's `schedstat` (time on a CPU, time in a queue, turns), and when it last changed."""

    counts: str
    at: float


class GuestTime:
    """The time of one QEMU, in seconds since this was made. `read` it a few times a second.

    A machine without scheduler statistics (`/proc/PID/schedstat`) counts waiting as sleeping.
    """

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc") / str(pid)
        self._at = time.monotonic()
        self._threads: dict[str, _Thread] = {}
        self._kept_s = 0.0
        self._kept_s = self._read_kept(self._at)
        self.cpu_s = 0.0
        """CPU time that QEMU has taken, of all its threads."""
        self.had_s = 0.0
        """What `read` gave last."""
        self.pause_s = 0.0
        """The longest time on end in which it had less than half of what passed."""
        self._pause_s = 0.0
        self._owed_s = 0.0
        self._read_cpu()

    def read(self) -> float:
        """Return how long the guest could go on so far. A QEMU that has gone adds nothing."""
        now = time.monotonic()
        whole = now - self._at
        passed = min(whole, _GAP_MAX_S)
        self._at = now
        cpu_s, kept_s = self.cpu_s, self._kept_s
        is_stopped = self._read_cpu()
        self._kept_s = self._read_kept(now)
        # What is told late, or of several threads at once, is taken from what comes next.
        self._owed_s = min(self._owed_s + max(0.0, self._kept_s - kept_s), passed + _GAP_MAX_S)
        slept = 0.0 if is_stopped else max(0.0, passed - self._owed_s)
        self._owed_s = max(0.0, self._owed_s - passed)
        had = min(passed, max(self.cpu_s - cpu_s, slept))
        self.had_s += had
        self._pause_s = self._pause_s + whole if had < whole / 2 else 0.0
        self.pause_s = max(self.pause_s, self._pause_s)
        return self.had_s

    def _read_cpu(self) -> bool:
        """Take in the CPU time, return whether QEMU is stopped (or has gone)."""
        try:
            fields = _fields(self._folder / "stat")
        except OSError:
            return True
        self.cpu_s = (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_S
        return fields[_STATE] in _STOPPED

    def _read_kept(self, now: float) -> float:
        """Return for how long QEMU's threads have waited in all.

        All of them: one may sleep because another, which holds a lock, waits. The kernel counts
        a wait when it is over, so what a thread still waits for is added here.
        """
        total = 0.0
        threads: dict[str, _Thread] = {}
        try:
            names = os.listdir(self._folder / "task")  # noqa: PTH208 - names will do
        except OSError:
            return self._kept_s
        for name in names:
            folder = self._folder / "task" / name
            try:
                counts = (folder / "schedstat").read_text()
                state = _fields(folder / "stat")[_STATE]
            except OSError:
                # It has ended meanwhile.
                continue
            thread = self._threads.get(name)
            if thread is None or thread.counts != counts:
                thread = _Thread(counts, now)
            threads[name] = thread
            total += int(counts.split()[1]) / 1e9
            total += now - thread.at if state in _WAITS else 0.0
        self._threads = threads
        return total


def _fields(path: Path) -> list[str]:
    return path.read_text(errors="replace").rpartition(")")[2].split()
