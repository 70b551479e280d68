"""Processes: how one begins and dies with this one, who are below another, how they are ended."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def descendants(pid: int, *, at_most: int = sys.maxsize) -> list[int]:
    """Return the ids of a process's children and theirs; no more of them than needed."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for children in Path(f"/proc/{each}/task").glob("*/children"):
                found += map(int, children.read_bytes().split())
        if len(found) > at_most + 1:
            break
    return found[1:]


def terminate(pids: Iterable[int]) -> None:
    """Ask processes to end; no error for those that have."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)


def wait_for_end(pids: Iterable[int], *, within_s: float) -> None:
    """Wait for processes that are no children of this one; an init ends after all it had."""
    end = time.monotonic() + within_s
    for pid in pids:
        with suppress(OSError):
            while b"State:\tZ" not in Path(f"/proc/{pid}/status").read_bytes():
                if time.monotonic() > end:
                    return
                time.sleep(0.002)


def die_with_parent(sig: int = signal.SIGKILL) -> Callable[[], None]:
    """Return a function to call in a child between fork and exec.

    With it the kernel sends the child `sig` when this process dies, even by SIGKILL. `prctl` is
    looked up before the fork: a child of a threaded process may not import or allocate.
    """
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, sig, 0, 0, 0)
        # The parent may have died before prctl took hold.
        if os.getppid() != parent:
            os._exit(1)

    return in_child


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put ^C and SIGTERM off to the end, for a fork.

    Python throws away an exception that arises while it forks, and the user's ^C would be one.
    Only the main thread runs handlers, so there is nothing to do in others.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    own = [signal.signal(each, lambda number, _: came.append(number)) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, own, strict=True):
            signal.signal(each, handler)
        for number in came[:1]:
            signal.raise_signal(number)
