"""Runs the cells of a matrix: each in a process of its own, each kernel built once, two at a time.

The first cell of a group builds its kernel; the others wait for it, and meanwhile the cells of
kernels that are there boot beside it.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from enum import StrEnum
from pathlib import Path

import msgspec

from harness import log, proc
from harness.cell import Done, Task, decode_done, encode
from harness.errors import HarnessError, Outcome
from harness.matrix import Cell
from harness.matrix_order import Group

# What a job needs beside its guest: QEMU and Python, or a compiler for each CPU.
_BOOT_MIB = 300
_BUILD_MIB = 1500


class State(StrEnum):
    """Where a cell is."""

    WAITING = "waiting"
    BUILDING = "building"
    BOOTING = "booting"
    DONE = "done"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A cell has got somewhere; `done` is what came of it, `leader` as in `Outcomes`."""

    cell: Cell
    state: State
    done: Done | None = None
    leader: int | None = None


class Outcomes:
    """What has come of the cells so far, by number.

    `leaders` has the number of the cell whose kernel could not be made, for those that wanted it.
    """

    def __init__(self) -> None:
        self.done: dict[int, Done] = {}
        self.leaders: dict[int, int] = {}


def slots(groups: Sequence[Group], *, jobs: int, available_mib: int) -> int:
    """Return how many jobs can run at once: `jobs`, or as many as the memory will take."""
    boots = [_BOOT_MIB + each.job.memory_mib for group in groups for each in group.cells]
    first = _BUILD_MIB if any(group.is_built for group in groups) else 0
    largest = max(boots)
    # The dearest is one that builds, and it boots after that; the others only boot.
    rest = available_mib - max(first, largest)
    return max(1, min(jobs, 1 + rest // largest))


def available_mib(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return the memory that can be had without swapping (proc_meminfo(5), MemAvailable)."""
    for line in meminfo.read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) // 1024
    return sys.maxsize


def run(
    groups: Sequence[Group],
    *,
    jobs: int,
    builds: int,
    out: Path | None,
    on_progress: Callable[[Progress], None],
) -> Outcomes:
    """Run all cells, at most `jobs` at once and `builds` of them building.

    An interrupt ends those that run, and goes on to the caller with the outcomes so far in its
    `outcomes`.

    Raises:
        Interrupted: by ^C or SIGTERM.
    """
    schedule = _Schedule(groups, jobs=jobs, builds=builds, out=out, on_progress=on_progress)
    try:
        schedule.run()
    except KeyboardInterrupt as error:
        raise Interrupted(schedule.outcomes) from error
    return schedule.outcomes


class Interrupted(Exception):  # noqa: N818 - it is none of anybody's errors
    """The matrix was interrupted; `outcomes` is what it had come to."""

    def __init__(self, outcomes: Outcomes) -> None:
        super().__init__()
        self.outcomes = outcomes


class _Schedule:
    def __init__(
        self,
        groups: Sequence[Group],
        *,
        jobs: int,
        builds: int,
        out: Path | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.outcomes = Outcomes()
        self._leaders = deque(group for group in groups if group.is_built)
        self._ready = deque(c for group in groups if not group.is_built for c in group.cells)
        self._building: dict[Future[Done], Group] = {}
        self._booting: dict[Future[Done], Cell] = {}
        self._jobs, self._builds = jobs, builds
        self._out = out
        self._on_progress = on_progress
        self._is_over = threading.Event()

    def run(self) -> None:
        with ThreadPoolExecutor(max_workers=self._jobs) as pool:
            try:
                self._start(pool)
                while self._building or self._booting:
                    ended, _ = wait({*self._building, *self._booting}, return_when=FIRST_COMPLETED)
                    for future in ended:
                        self._end(future)
                    self._start(pool)
            except BaseException:
                # Each thread ends its process, and that its own children.
                self._is_over.set()
                raise

    def _start(self, pool: ThreadPoolExecutor) -> None:
        while len(self._building) + len(self._booting) < self._jobs:
            if self._leaders and len(self._building) < self._builds:
                group = self._leaders.popleft()
                self._tell(group.cells[0], State.BUILDING)
                self._building[pool.submit(self._work, group.cells[0])] = group
            elif self._ready:
                each = self._ready.popleft()
                self._tell(each, State.BOOTING)
                self._booting[pool.submit(self._work, each)] = each
            else:
                return

    def _end(self, future: Future[Done]) -> None:
        done = future.result()
        group = self._building.pop(future, None)
        if group is None:
            self._finish(self._booting.pop(future), done)
            return
        leader, *others = group.cells
        self._finish(leader, done)
        if done.boot_s is None:
            # Asked again, it would be tried again, to the same end minutes later.
            for each in others:
                self._finish(each, done, leader=leader.number)
        else:
            self._ready.extend(others)

    def _finish(self, each: Cell, done: Done, *, leader: int | None = None) -> None:
        if leader is not None:
            done = msgspec.structs.replace(done, seconds=0.0)
            self.outcomes.leaders[each.number] = leader
        self.outcomes.done[each.number] = done
        self._tell(each, State.DONE, done, leader)

    def _tell(
        self, each: Cell, state: State, done: Done | None = None, leader: int | None = None
    ) -> None:
        self._on_progress(Progress(cell=each, state=state, done=done, leader=leader))

    def _work(self, each: Cell) -> Done:
        task = Task(job=each.job, out=self._out)
        # -P: a folder `harness` where the user stands is not this one.
        argv = [sys.executable, "-P", "-m", "harness.cell"]
        try:
            child = proc.run(argv, stdin=encode(task), on_tick=self._check)
        except HarnessError as error:
            return _host_fault(error.message)
        try:
            return decode_done(child.stdout)
        except msgspec.DecodeError:
            log.note(child.error_text)
            words = child.error_text.splitlines()
            last = words[-1] if words else "it said nothing"
            return _host_fault(f"its process exited with {child.returncode}: {last}")

    def _check(self) -> None:
        if self._is_over.is_set():
            raise _Over


def _host_fault(reason: str) -> Done:
    return Done(outcome=Outcome.HOST_ERROR.value, reason=reason, run=None, seconds=0.0)


class _Over(BaseException):
    """Ends a child whose matrix is over."""
