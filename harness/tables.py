"""Renders observations and their differences for people. It adds nothing to what they say."""

from collections.abc import Iterable

from harness import printable
from harness.diff import Comparison, DiffResult
from harness.observations import Observations, Subject
from harness.report import Style, plain

_ABSENT = "(not observed)"
# A longer name of a side is no heading for a column.
_HEAD_MAX = 30


def observations(observed: Observations, *, style: Style = plain) -> str:
    """Return a table a flow, then what the kernel itself reported and how it ended."""
    observed = printable.struct(observed)
    lines = [_subject_line(observed.subject), f"scenario {observed.subject.scenario}"]
    if observed.subject.cmdline:
        lines.append(f"cmdline {observed.subject.cmdline}")
    for flow in observed.flows:
        lines += ["", style(flow.flow, "bold")]
        lines += columns(flow.observations.items()) or ["  nothing observed"]
    if observed.reports:
        reports = [f"  {title}" for title in observed.reports]
        lines += ["", style("kernel reports", "bold"), *reports]
    if observed.unknown_parameters:
        words = " ".join(observed.unknown_parameters)
        lines += ["", f"the kernel does not know, and passed to user space: {words}"]
    for each in observed.not_booted:
        lines += ["", f"not booted: {', '.join(each.flows)}: {each.reason}"]
    for each in observed.unfinished:
        lines += ["", f"{style('not at its end', 'bad')}: {', '.join(each.flows)}: {each.reason}"]
    return "\n".join(lines) + "\n"


def _subject_line(subject: Subject) -> str:
    if subject.kernel:
        return f"{subject.release} from {subject.kernel}"
    count = subject.patches
    series = f"{subject.series} ({count} patch{'es' if count != 1 else ''})"
    shape = " + ".join([subject.profile, *subject.flavors, *subject.kconfig])
    return f"{subject.base} with {series if count else 'no series'}, {shape}, {subject.arch}"


def diff(result: DiffResult, *, style: Style = plain) -> str:
    """Return what differs, a table a comparison."""
    blocks = [_comparison(each, style) for each in printable.struct(result).comparisons]
    return "\n".join("\n".join(block) + "\n" for block in blocks)


def _comparison(comparison: Comparison, style: Style) -> list[str]:
    lines = [style(comparison.title, "bold")] if comparison.title else []
    if comparison.rows:
        heads = comparison.before, comparison.after
        if max(map(len, heads)) > _HEAD_MAX:
            lines += columns(zip("AB", heads, strict=True))
            heads = "A", "B"
        cells = [("", *heads)]
        for flow in dict.fromkeys(row.flow for row in comparison.rows):
            cells.append((flow, "", ""))
            cells += [
                (f"  {row.name}", _shown(row.before), _shown(row.after))
                for row in comparison.rows
                if row.flow == flow
            ]
        lines += _grid(cells)
    elif not comparison.unfinished:
        lines.append(f"no difference between {comparison.before} and {comparison.after}")
    lines += [f"flow {each.flow}: only {each.ran_in} ran it" for each in comparison.uncompared]
    lines += [f"{style('not at its end', 'bad')}: {each}" for each in comparison.unfinished]
    return lines


def _shown(value: str | None) -> str:
    return _ABSENT if value is None else value or '""'


def _grid(cells: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[column]) for row in cells) for column in range(2)]
    return [
        f"{left:{widths[0]}}  {middle:{widths[1]}}  {right}".rstrip()
        for left, middle, right in cells
    ]


def columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return two columns, indented."""
    rows = list(rows)
    width = max((len(left) for left, _ in rows), default=0)
    return [f"  {left:{width}}  {right}" for left, right in rows]
