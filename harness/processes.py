"""Processes that are no children of this one: who they are, and how they are ended."""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


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
