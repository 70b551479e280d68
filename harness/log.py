"""Progress on stderr: one plain line a stage, or a live spinner on a terminal.

Results never come this way: they go to stdout, from `cli` and `report`.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from harness import printable


class Level(IntEnum):
    """How much is said."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class _State:
    level = Level.NORMAL


def set_level(level: Level) -> None:
    """Set for the whole process how much is said; the CLI does it once."""
    _State.level = level


def has_colour(stream_fd: int) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR or TERM=dumb say no."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return os.isatty(stream_fd)


def say(text: str, *, at: Level = Level.NORMAL) -> None:
    """Print one line of progress on stderr."""
    if _State.level >= at:
        sys.stderr.write(f"{printable.text(text)}\n")
        sys.stderr.flush()


def note(text: str) -> None:
    """Print a line that only --verbose shows."""
    say(text, at=Level.VERBOSE)


def warn(text: str) -> None:
    """Print a line that is shown even with --quiet: something is off but the work goes on."""
    say(f"warning: {text}", at=Level.QUIET)


def is_live() -> bool:
    """Whether stderr is a terminal on which something may be redrawn, and wanted."""
    is_terminal = os.isatty(2) and os.environ.get("TERM") != "dumb"
    return is_terminal and _State.level is Level.NORMAL


class Progress:
    """A line that is redrawn on a terminal, and printed seldom elsewhere.

    `update` may be called thousands of times a second: it looks at the clock and returns.
    """

    _REDRAW_S = 0.1
    _PLAIN_S = 20.0

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_live = os.isatty(2) and os.environ.get("TERM") != "dumb"
        self._last = time.monotonic()
        self._is_drawn = False

    def update(self, detail: str) -> None:
        """Show `detail` (under a terminal's width) behind what is going on."""
        if _State.level < Level.NORMAL:
            return
        now = time.monotonic()
        if now - self._last < (self._REDRAW_S if self._is_live else self._PLAIN_S):
            return
        self._last = now
        detail = printable.text(detail)
        if self._is_live:
            sys.stderr.write(f"\r\x1b[K{self._what}: {detail}"[: _columns()])
            self._is_drawn = True
        else:
            sys.stderr.write(f"{self._what}: {detail}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the redrawn line away, if one stands."""
        if self._is_drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._is_drawn = False


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Yield a `Progress` for a piece of work that may take seconds or minutes."""
    line = Progress(what)
    try:
        yield line
    finally:
        line.clear()


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns + len("\r\x1b[K")
    except OSError:
        return 80
