"""Takes a make that failed, says whether it was this machine that failed it."""

import os
import signal
from pathlib import Path

from harness import buildlog, faults
from harness.errors import HostError


def check(what: str, returncode: int, text: str, folder: Path) -> None:
    """Return only if make's own last word proves that the fault is not the host's.

    `what` begins the message; `text` is what make said; `folder` is where it wrote, the log too.

    Raises:
        HostError: this machine failed it, or may have.
    """
    known = buildlog.host_fault(text)
    if known:
        raise HostError(f"{what}: {known[0]}", hint=known[1])
    if returncode < 0:
        name = signal.Signals(-returncode).name
        raise HostError(f"{what}: make was killed from outside, by {name}", hint="run it again")
    # In a sandbox the rest is read-only, as it should be.
    if not os.access(folder, os.W_OK):
        raise HostError(f"{what}: the disk has become read-only: {folder}", hint="look at `dmesg`")
    # The log is on that disk too, so it need not say so.
    if faults.is_full(folder):
        raise HostError(f"{what}: the disk is full: {folder}", hint="`harness gc` makes room")
    if not buildlog.has_last_word(text):
        raise HostError(
            f"{what}: make exited {returncode} without a word why: its log is cut short",
            hint=f"is the disk of {folder} full?",
        )
