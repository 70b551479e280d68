"""A matrix under way: a live table on a terminal, elsewhere a line a job as it ends."""

import os
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harness import log
from harness.errors import Outcome
from harness.matrix import Cell
from harness.matrix_order import Group
from harness.matrix_report import shown
from harness.matrix_run import Progress, State

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

# Lines of a terminal that the table leaves for its head, its foot and what was there before.
_SPARE_LINES = 8


def values_line(values: Sequence[tuple[str, str]]) -> str:
    """Return a cell's values in one line."""
    return "  ".join(f"{axis} {shown(value)}" for axis, value in values)


class Board:
    """Takes each `Progress` and shows it on stderr. A context: the live table goes at its end."""

    def __init__(self, groups: Sequence[Group]) -> None:
        cells = [cell for group in groups for cell in group.cells]
        self._count = len(cells)
        self._axes = [axis for axis, _ in cells[0].values]
        self._states: dict[int, Progress] = {}
        self._since: dict[int, float] = {}
        self._done: list[Progress] = []
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Start the table, if stderr is a terminal that can redraw."""
        if log.is_live():
            from rich.console import Console  # noqa: PLC0415 - on a terminal only
            from rich.live import Live  # noqa: PLC0415

            console = Console(stderr=True, highlight=False)
            self._live = Live(
                get_renderable=self._table,
                console=console,
                refresh_per_second=4,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the table away."""
        if self._live:
            self._live.stop()

    def take(self, progress: Progress) -> None:
        """Show that a cell has got somewhere."""
        number = progress.cell.number
        self._states[number] = progress
        self._since[number] = time.monotonic()
        done = progress.done
        if done is None:
            if progress.state is State.BUILDING and not self._live:
                log.note(f"{self._place(progress.cell)} started")
            return
        self._done.append(progress)
        if not self._live:
            seconds = f"{done.seconds:7.1f} s" if progress.leader is None else " " * 9
            why = "" if done.outcome == Outcome.PASS.value else f": {done.reason}"
            log.say(
                f"[{len(self._done):>{len(str(self._count))}}/{self._count}] "
                f"{done.outcome:<12} {seconds}  {values_line(progress.cell.values)}{why}"
            )

    def _place(self, cell: Cell) -> str:
        return values_line(cell.values)

    def _table(self) -> "RenderableType":
        from rich.table import Table  # noqa: PLC0415

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in (*self._axes, "", "s"):
            table.add_column(heading)
        now = time.monotonic()
        running = [p for p in self._states.values() if p.done is None]
        bad = [p for p in self._done if p.done and p.done.outcome != Outcome.PASS.value]
        good = [p for p in self._done if p not in bad]
        room = max(4, os.get_terminal_size(2).lines - _SPARE_LINES - len(running))
        # What went wrong stays in sight; of what passed the latest, as far as there is room.
        rows = [*bad[-room:], *good[len(good) - max(0, room - len(bad)) :], *running]
        for progress in rows:
            values = [shown(value) for _, value in progress.cell.values]
            done = progress.done
            if done is None:
                since = now - self._since[progress.cell.number]
                table.add_row(*values, progress.state.value, f"{since:.0f}", style="cyan")
            else:
                is_good = done.outcome == Outcome.PASS.value
                look = "" if is_good else "bold red"
                table.add_row(*values, done.outcome, f"{done.seconds:.1f}", style=look)
        table.caption = f"{len(self._done)} of {self._count}, {len(bad)} not passed"
        table.caption_justify = "left"
        return table
