"""Takes QEMU's process, says how much time this machine has given to its guest.

Wall time says nothing of a guest on a busy machine. What counts is the time in which it ran, or
slept of its own accord: not that in which it waited for a CPU or a disk, or was stopped.
"""

import os
import re
import time
from pathlib import Path

import msgspec

# A tool that looks less often than this was itself stopped or starved: what it missed is not
# held against the guest, whose console nobody read.
_GAP_MAX_S = 2.0
# A kernel's clock goes on whether it runs or not, so one that has next to no time may report
# lockups though all is well with it. One with more than this part of it does not: its detectors
# wait for thousands of times what a sound kernel takes.
_ENOUGH = 0.25
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# In /proc/PID/stat, counted from what follows the name, which may hold anything: state, utime.
_STATE, _UTIME, _STIME = 0, 11, 12
_STOPPED = frozenset({"T", "t"})
# Ready to run, or in the midst of I/O.
_WAITS = frozenset({"R", "D"})
# How QEMU names the thread of a virtual CPU, with debug-threads=on.
_CPU = re.compile(r"CPU \d+/")


class _Thread(msgspec.Struct, frozen=True, kw_only=True):
    """A thread's `schedstat` (time on a CPU, time in a queue, turns), and when it last changed."""

    name: str
    counts: str
    at: float
    ran_s: float
    waited_s: float
    """In all, with what it waits for now: the kernel counts a wait when it is over."""


class GuestTime:
    """The time of one QEMU, in seconds since this was made. `read` it a few times a second.

    A machine without scheduler statistics (`/proc/PID/schedstat`) counts waiting as sleeping.
    """

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self._folder = proc / str(pid)
        self._at = time.monotonic()
        self.cpu_s = 0.0
        """CPU time that QEMU has taken, of all its threads."""
        self.had_s = 0.0
        """What `read` gave last."""
        self.pause_s = 0.0
        """For how long at most the guest hardly ran, less what it made up for meanwhile."""
        self._behind_s = 0.0
        self._owed_s: dict[str, float] = {}
        self._read_cpu()
        self._threads: dict[str, _Thread] = {}
        self._read_threads()

    def read(self) -> float:
        """Return how long the guest could go on so far. A QEMU that has gone adds nothing."""
        now = time.monotonic()
        whole_s, self._at = now - self._at, now
        passed_s = min(whole_s, _GAP_MAX_S)
        cpu_s = self.cpu_s
        is_stopped = self._read_cpu()
        had_s = passed_s
        for name, ran_s, waited_s in self._of_cpus(self.cpu_s - cpu_s):
            # What is told late, or of several threads at once, is taken from what comes next.
            owed_s = min(self._owed_s.get(name, 0.0) + waited_s, passed_s + _GAP_MAX_S)
            slept_s = 0.0 if is_stopped else max(0.0, passed_s - owed_s)
            self._owed_s[name] = max(0.0, owed_s - passed_s)
            # The other CPUs may do nothing but wait for the one that has the least.
            had_s = min(had_s, max(ran_s, slept_s))
        self.had_s += had_s
        # A moment of plenty makes up for what it is worth, and ends no pause.
        self._behind_s = max(0.0, self._behind_s + whole_s - had_s / _ENOUGH)
        self.pause_s = max(self.pause_s, self._behind_s)
        return self.had_s

    def _of_cpus(self, ran_s: float) -> list[tuple[str, float, float]]:
        """Return for each virtual CPU its name, and for how long it ran and waited since.

        It waits for the rest of QEMU too: it may sleep because a thread that holds a lock waits.
        It does not wait for the other CPUs, and two that wait at once do not wait twice as long.
        Without a CPU that is known as one, QEMU is taken for one, which ran for `ran_s`.
        """
        before = self._threads
        self._read_threads()
        cpus = []
        rest_s = 0.0
        for thread_id, thread in self._threads.items():
            then = before.get(thread_id)
            waited_s = max(0.0, thread.waited_s - (then.waited_s if then else 0.0))
            if _CPU.match(thread.name):
                cpus.append((thread_id, thread.ran_s - (then.ran_s if then else 0.0), waited_s))
            else:
                rest_s += waited_s
        return [(name, ran, waited + rest_s) for name, ran, waited in cpus] or [("", ran_s, rest_s)]

    def _read_cpu(self) -> bool:
        """Take in the CPU time, return whether QEMU is stopped (or has gone)."""
        try:
            _, fields = _read(self._folder)
        except OSError:
            return True
        self.cpu_s = (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_S
        return fields[_STATE] in _STOPPED

    def _read_threads(self) -> None:
        """Take in what the kernel knows of each thread. Those of a QEMU that has gone stay."""
        threads: dict[str, _Thread] = {}
        try:
            names = os.listdir(self._folder / "task")  # noqa: PTH208 - names will do
        except OSError:
            return
        for thread_id in names:
            folder = self._folder / "task" / thread_id
            try:
                counts = (folder / "schedstat").read_text()
                name, fields = _read(folder)
            except OSError:
                # It has ended meanwhile.
                continue
            then = self._threads.get(thread_id)
            at = then.at if then and then.counts == counts else self._at
            ran_ns, waited_ns, _ = map(int, counts.split())
            waits_s = self._at - at if fields[_STATE] in _WAITS else 0.0
            threads[thread_id] = _Thread(
                name=name,
                counts=counts,
                at=at,
                ran_s=ran_ns / 1e9,
                waited_s=waited_ns / 1e9 + waits_s,
            )
        self._threads = threads


def _read(folder: Path) -> tuple[str, list[str]]:
    """Return the name and the fields of a `stat`."""
    head, _, rest = (folder / "stat").read_text(errors="replace").rpartition(")")
    return head.partition("(")[2], rest.split()
