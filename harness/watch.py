"""Takes what a guest says and the time it is given, says when it has hung.

There are two limits, both in the guest's own time: how long it may go without progress, and how
long it may take at all. A third, in wall time, is this machine's fault.
"""

import time
from enum import StrEnum

import msgspec

from harness.guesttime import GuestTime
from harness.progress import Progress

TOTAL_FACTOR = 3
"""A guest that makes progress for so many times its deadline, and does not end, never will."""
STARVED_FACTOR = 60
"""If a deadline takes so many times its length, this machine does not run the guest. (One of 0.5 s
took 100 to 150 s at `nice 19` beside two busy loops a CPU.)"""
_STARVED_MIN_S = 600.0
# How often a guest is looked after: often enough for a short deadline, at no cost.
_LOOK_S = 0.5
# A guest that took less than this part of its time waits for something; one that spins takes all.
_IDLE_SHARE = 0.2


class Limit(StrEnum):
    """The limit that a guest ran into."""

    NO_PROGRESS = "no-progress"
    TOTAL = "total"
    STARVED = "starved"


class Overdue(msgspec.Struct, frozen=True, kw_only=True):
    """A guest past a limit; `note` says it in a few words. `is_idle`: it used next to no CPU."""

    limit: Limit
    note: str
    is_idle: bool


class Watch:
    """One guest's limits. `deadline_s` is how long it may go without progress."""

    def __init__(self, pid: int, deadline_s: float) -> None:
        self._time = GuestTime(pid)
        self._progress = Progress()
        self._deadline_s = deadline_s
        self._began = self._looked = time.monotonic()
        self._has_said = False
        self._progressed_s = self._heard_s = 0.0
        self._cpu_then_s = 0.0
        self.look_s = min(_LOOK_S, deadline_s / 10)
        """How long to wait for the guest's words before the next look."""

    @property
    def silence_s(self) -> float:
        """For how long the guest has said nothing, in its own time."""
        return self._time.had_s - self._heard_s

    @property
    def pause_s(self) -> float:
        """For how long at most this machine hardly ran the guest."""
        return self._time.pause_s

    def heard(self, data: bytes) -> None:
        """Take in what the guest said."""
        self._progress.add(data)
        self._has_said = True

    def look(self) -> Overdue | None:
        """Return the limit that has passed, if one has. Cheap if called too often."""
        now = time.monotonic()
        if now - self._looked < self.look_s:
            return None
        self._looked = now
        had = self._time.read()
        if self._has_said:
            self._heard_s, self._has_said = had, False
            if self._progress.take():
                self._progressed_s, self._cpu_then_s = had, self._time.cpu_s
        return self._overdue(had, now - self._began)

    def _overdue(self, had: float, wall_s: float) -> Overdue | None:
        without = had - self._progressed_s
        total_s = TOTAL_FACTOR * self._deadline_s
        starved_s = max(_STARVED_MIN_S, STARVED_FACTOR * self._deadline_s)
        if without >= self._deadline_s:
            limit, note = Limit.NO_PROGRESS, f"no progress for {self._deadline_s:g} s"
        elif had >= total_s:
            limit, note = Limit.TOTAL, f"still going on after {total_s:g} s of its own time"
        elif wall_s >= starved_s:
            limit = Limit.STARVED
            note = f"in {wall_s:.0f} s this machine gave the guest {had:.1f} s"
        else:
            return None
        # One that goes on for ever is looked at as a whole.
        since_s, cpu_then_s = (had, 0.0) if limit is Limit.TOTAL else (without, self._cpu_then_s)
        share = (self._time.cpu_s - cpu_then_s) / max(since_s, 0.1)
        return Overdue(limit=limit, note=note, is_idle=share < _IDLE_SHARE)
