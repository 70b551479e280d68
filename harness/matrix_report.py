"""Takes the outcomes of a matrix, gives its report: for a person, as Markdown, and on disk."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness import __version__, cell, command, matrix_result, paths, printable, runs
from harness.errors import Outcome
from harness.matrix import Cell
from harness.matrix_order import Group
from harness.matrix_result import NOT_RUN, CellResult, MatrixResult
from harness.matrix_run import Outcomes
from harness.report import Style, plain

_NAME = "matrix.json"
_PAGE = "matrix.md"


def matrices_dir() -> Path:
    """The folder of all matrices."""
    return paths.state_dir() / "matrices"


def all_matrices() -> list[Path]:
    """Return the folders of all matrices, oldest first."""
    return runs.in_order(matrices_dir(), _NAME)


def make(
    *,
    id_: str,
    title: str,
    seconds: float,
    groups: Sequence[Group],
    outcomes: Outcomes,
    folder: Path,
) -> MatrixResult:
    """Return the result; `seconds` is how long it took, `folder` where it will stand."""
    cells = sorted((c for group in groups for c in group.cells), key=lambda c: c.number)
    rows = [_cell(each, outcomes, folder) for each in cells]
    axes: dict[str, dict[str, None]] = {}
    for each in cells:
        for name, value in each.values:
            axes.setdefault(name, {})[value] = None
    return MatrixResult(
        id=id_,
        version=__version__,
        title=title,
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds)),
        seconds=round(seconds, 1),
        axes={name: list(values) for name, values in axes.items()},
        kernels=len(groups),
        outcomes=dict(Counter(row.outcome for row in rows)),
        exit_code=matrix_result.exit_code_of(row.outcome for row in rows),
        cells=rows,
    )


def _cell(each: Cell, outcomes: Outcomes, folder: Path) -> CellResult:
    done = outcomes.done.get(each.number)
    if done is None:
        done = cell.Done(
            outcome=NOT_RUN, reason="the matrix was interrupted", run=None, seconds=0.0
        )
    return CellResult(
        number=each.number,
        values=dict(each.values),
        outcome=done.outcome,
        reason=done.reason,
        hint=done.hint,
        seconds=done.seconds,
        boot_s=done.boot_s,
        run=os.path.relpath(done.run, folder) if done.run else None,
        with_cell=outcomes.leaders.get(each.number),
        repro=command.of(each.job),
    )


def publish(result: MatrixResult, *, top: Path) -> Path:
    """Write matrix.json and matrix.md into a folder of their own in `top`, and give its path.

    Raises:
        HostError: it cannot be written.
    """
    texts = {
        _NAME: matrix_result.encode(result),
        _PAGE: markdown(result).encode(),
    }
    return runs.publish_folder("matrix", result.id, texts=texts, links={}, top=top)


# --- for people -----------------------------------------------------------------------------


def text(result: MatrixResult, folder: Path, *, style: Style = plain) -> str:
    """Return the report: a row a cell, then every one that is no pass with why and where."""
    result = printable.struct(result)
    axes = _shown_axes(result)
    rows = [["", *axes, "outcome", "s"]]
    rows += [
        [
            str(row.number),
            *(shown(row.values[axis]) for axis in axes),
            row.outcome,
            f"{row.seconds:.1f}" if row.seconds else "",
        ]
        for row in result.cells
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [result.title, ""] if result.title else []
    for row in rows:
        padded = [f"{word:{width}}" for word, width in zip(row, widths, strict=True)]
        if row[-2] not in ("outcome", Outcome.PASS.value):
            padded[-2] = style(padded[-2], "bad")
        lines.append("  ".join(padded).rstrip())
    lines += ["", summary(result, style=style)]
    for cells in same_reason(result):
        lines += _finding(cells, axes, folder, style)
    fixed = [f"{axis} {shown(*values)}" for axis, values in result.axes.items() if len(values) == 1]
    if fixed:
        lines += ["", f"all with {', '.join(fixed)}"]
    lines += ["", f"matrix  {folder / _PAGE}"]
    return "\n".join(lines) + "\n"


def _finding(
    cells: Sequence[CellResult], axes: Sequence[str], folder: Path, style: Style
) -> list[str]:
    first = cells[0]
    lines = ["", f"{style(first.outcome, 'bad')}: {first.reason}"]
    if first.hint:
        lines.append(f"  hint: {first.hint}")
    for row in cells:
        where = f"as cell {row.with_cell}" if row.with_cell else _run_of(row, folder)
        values = ", ".join(f"{axis} {shown(row.values[axis])}" for axis in axes)
        lines.append(f"  {row.number}  {values}  {where}".rstrip())
    return lines


def _run_of(row: CellResult, folder: Path) -> str:
    return os.path.normpath(folder / row.run) if row.run else ""


def same_reason(result: MatrixResult) -> list[list[CellResult]]:
    """Return the cells that are no pass, those together that have one outcome and reason."""
    found: dict[tuple[str, str], list[CellResult]] = {}
    for row in result.cells:
        if row.outcome not in (Outcome.PASS.value, NOT_RUN):
            found.setdefault((row.outcome, row.reason), []).append(row)
    return list(found.values())


def summary(result: MatrixResult, *, style: Style = plain) -> str:
    """Return how many jobs came to what, in one line."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in result.outcomes.items())
    kernels = f"{result.kernels} kernel{'s' if result.kernels != 1 else ''}"
    is_good = set(result.outcomes) == {Outcome.PASS.value}
    jobs = f"{len(result.cells)} job{'s' if len(result.cells) != 1 else ''}"
    return f"{style(counts, 'good' if is_good else 'bad')}: {jobs} on {kernels}"


def shown(value: str) -> str:
    """Return a value as a table has it: nothing is a dash."""
    return value or "-"


def _shown_axes(result: MatrixResult) -> list[str]:
    """Return the axes that tell cells apart, or all if none does."""
    return [axis for axis, values in result.axes.items() if len(values) > 1] or list(result.axes)


def markdown(result: MatrixResult) -> str:
    """Return the page: a row a cell, each linked to its run."""
    axes = list(result.axes)
    lines = [
        f"# {printable.prose(result.title) or 'Matrix'}",
        "",
        f"{summary(result)}. Started {result.started}, took {result.seconds:.0f} s.",
        "",
        f"| | {' | '.join(axes)} | outcome | s | why |",
        f"|{'---|' * (len(axes) + 4)}",
    ]
    for row in result.cells:
        values = " | ".join(_code(row.values[axis]) for axis in axes)
        outcome = f"[{row.outcome}]({row.run})" if row.run else row.outcome
        why = "" if row.outcome == Outcome.PASS.value else printable.prose(row.reason)
        if row.with_cell:
            why = f"as cell {row.with_cell}: {why}"
        lines.append(f"| {row.number} | {values} | {outcome} | {row.seconds:.1f} | {why} |")
    lines += ["", "To run one again:", ""]
    lines += [
        f"    {printable.text(row.repro)}"
        for row in result.cells
        if row.outcome != Outcome.PASS.value
    ]
    if set(result.outcomes) == {Outcome.PASS.value}:
        lines = lines[:-3]
    return "\n".join(lines) + "\n"


def _code(value: str) -> str:
    return printable.code(value) if value else "-"
