"""Takes the console of a boot, gives what a page shows of it: the lines that matter, and times.

Pure. Reports of the kernel stand apart, so that they can be folded.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from harness import console, lines, printable
from harness.job import Splat

_HEAD, _BEFORE, _AFTER = 8, 8, 4
_REPORTS_MAX, _REPORT_LINES_MAX = 8, 80
_LINE_MAX = 300
_STAMP = re.compile(rb"^\r?\[ *(\d+\.\d{6})\]", re.MULTILINE)
# What ends a phase of a boot, in order.
_PHASES = {
    "kernel": re.compile(rb"\[ *(\d+\.\d{6})\][^\n]* as init process"),
    "init": re.compile(rb"\[ *(\d+\.\d{6})\](?:\[ *[CT]\d+\])? harness: \w+ \d+ begin "),
    "scenario": re.compile(rb"\[ *(\d+\.\d{6})\](?:\[ *[CT]\d+\])? harness: \w+ \d+ end "),
}
LAST_PHASE = "end"


class Stretch(NamedTuple):
    """Lines of a console in a row: `first` is the number of the first, as an editor counts.

    With a `title` they are a report of the kernel. Without lines they are `size` left out.
    """

    first: int
    lines: tuple[str, ...]
    size: int
    title: str = ""


class Shown(NamedTuple):
    """What is shown of a console of `size` lines."""

    stretches: tuple[Stretch, ...]
    size: int
    reports: int


class Phase(NamedTuple):
    """A part of a boot, in seconds of the guest's clock."""

    name: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.begin


def show(data: bytes, *, most: int) -> Shown:
    """Return what matters of a console: its reports, its begin and its end, `most` other lines."""
    rows = lines.clean(data).removesuffix("\n").split("\n")
    reports = _reports(console.parse(data).splats, len(rows))
    kept = _kept(reports, len(rows), most)
    return Shown(
        stretches=tuple(_stretches(rows, reports, kept)), size=len(rows), reports=len(reports)
    )


def _reports(splats: tuple[Splat, ...], count: int) -> dict[range, str]:
    """Return the lines of each report, from 0, and what it is called; none overlaps another."""
    found: dict[range, str] = {}
    end = 0
    for splat in splats:
        start = max(splat.line - 1, end)
        end = min(start + max(len(splat.lines), 1), count)
        if start < end:
            found[range(start, end)] = splat.title
    return found


def _kept(reports: dict[range, str], count: int, most: int) -> set[int]:
    """Return the lines to show, from 0."""
    if count <= most:
        return set(range(count))
    kept = set(range(min(_HEAD, most))) | set(range(count - max(most - _HEAD, 0), count))
    for report in list(reports)[:_REPORTS_MAX]:
        start, end = report.start - _BEFORE, report.start + _REPORT_LINES_MAX
        kept |= set(range(max(start, 0), min(report.stop + _AFTER, end, count)))
    return kept


def _stretches(rows: list[str], reports: dict[range, str], kept: set[int]) -> Iterator[Stretch]:
    owner = {at: report for report in reports for at in report}
    # What lines have in common that stand together: that they are left out, or their report.
    sort = [(at in kept, owner.get(at) if at in kept else None) for at in range(len(rows))]
    start = 0
    for at in range(1, len(rows) + 1):
        if at < len(rows) and sort[at] == sort[start]:
            continue
        is_kept, report = sort[start]
        shown = tuple(_shown(row) for row in rows[start:at]) if is_kept else ()
        yield Stretch(start + 1, shown, at - start, reports[report] if report else "")
        start = at


def _shown(row: str) -> str:
    text = printable.text(row)
    return text if len(text) <= _LINE_MAX else f"{text[:_LINE_MAX]}…"


def phases(data: bytes) -> list[Phase]:
    """Return the phases of a boot that its console tells, the last being what came after them."""
    found: list[Phase] = []
    begin = 0.0
    for name, pattern in _PHASES.items():
        match = pattern.search(data)
        if match and (end := float(match[1])) >= begin:
            found.append(Phase(name, begin, end))
            begin = end
    stamps = _STAMP.findall(data)
    last = float(stamps[-1]) if stamps else 0.0
    if last > begin:
        found.append(Phase(LAST_PHASE, begin, last))
    return found
