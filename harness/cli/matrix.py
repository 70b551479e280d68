"""`harness matrix`: many jobs, one report."""

import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from harness import (
    log,
    matrix,
    matrix_check,
    matrix_order,
    matrix_report,
    matrix_result,
    matrix_run,
    paths,
    runs,
)
from harness import settings as settings_
from harness.cli import options
from harness.cli.matrix_live import Board, values_line
from harness.errors import EXIT_INTERRUPTED
from harness.matrix_file import FILE_NAME, MatrixFile
from harness.store import Store


@click.command("matrix")
@click.argument("name", required=False, metavar="[FILE|SERIES]")
@click.option("--axis", "axes", multiple=True, metavar="NAME=V1,V2",
              help="An axis and its values, in place of the file's; may be repeated. A cmdline "
                   "is one value, commas and all: repeat it for more.")  # fmt: skip
@click.option("--exclude", "excludes", multiple=True, metavar="AXIS=V,AXIS=V",
              help="Leave out what fits all of these; may be repeated.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, metavar="N",
              help="How many at a time, where memory allows.")  # fmt: skip
@click.option("--builds", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="How many of them may build a kernel.")  # fmt: skip
@click.option("--list", "is_list", is_flag=True, help="Print the jobs in their order, run none.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
              metavar="DIR", help="Put runs/ and matrices/ in here.")  # fmt: skip
@click.option("--json", "is_json", is_flag=True, help="Print harness.matrix/1 in place of a table.")
@options.talk_options
def command(
    *, name: str | None, axes: tuple[str, ...], excludes: tuple[str, ...], jobs: int, builds: int,
    is_list: bool, out: Path | None, is_json: bool, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Run every combination of some axes, each kernel built once, and print one report.

    Axes: series, base, kernel, arch, toolchain, profile, flavor, scenario, flow, cmdline,
    compress, and shape, which a matrix.toml defines. Exits as the worst of the jobs does.

    \b
    Examples:
      harness matrix nullfs
      harness matrix nullfs --axis base=6.18.5 --list
      harness matrix --axis cmdline= --axis cmdline=nullfs_rootfs --axis base=6.18.5,6.19.11
    """
    options.set_talk(quiet=quiet, verbose=verbose)
    settings = settings_.load(Path.cwd())
    told, where = _told(name, axes, excludes, settings)
    cells = matrix.expand(told, options.make_job(settings), where=where)
    store = Store(paths.cache_dir())
    cells = matrix_check.check(cells, settings, store)
    groups = matrix_order.groups(cells, lambda job: matrix_check.needs_of(job, settings, store))
    if is_list:
        for group in groups:
            for each in group.cells:
                click.echo(f"{each.number:>3}  {values_line(each.values)}")
        return 0
    top = out / "matrices" if out else matrix_report.matrices_dir()
    result, is_interrupted = _run(
        groups, told.title, jobs=jobs, builds=builds, runs_top=out / "runs" if out else None,
        top=top,
    )  # fmt: skip
    folder = matrix_report.publish(result, top=top)
    if is_json:
        sys.stdout.buffer.write(matrix_result.encode(result))
    else:
        click.echo(matrix_report.text(result, folder, style=options.style), nl=False)
    if is_interrupted:
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    return result.exit_code


def _told(
    name: str | None, axes: tuple[str, ...], excludes: tuple[str, ...], settings: settings_.Settings
) -> tuple[MatrixFile, str]:
    """Return what the file and the command line say together, the latter first."""
    given: dict[str, list[str]] = {}
    for text in axes:
        axis, values = matrix.read_axis(text)
        given.setdefault(axis, []).extend(values)
    if name is None and given and not Path(FILE_NAME).is_file():
        told, where = MatrixFile(), "--axis"
    else:
        path = matrix_check.find(name, settings)
        told, where = matrix_check.read(path), str(path)
    fixed: dict[str, Any] = {axis: None for axis in given if axis in matrix.AXES}
    merged = {**told.axes, **given}
    # Narrowed down by hand, a matrix may be left without what the file excludes.
    kept = [rule for rule in told.exclude if not given or matrix.can_fit(rule, merged)]
    more = [matrix.read_exclude(text) for text in excludes]
    return msgspec.structs.replace(told, axes=merged, exclude=[*kept, *more], **fixed), where


def _run(
    groups: tuple[matrix_order.Group, ...],
    title: str,
    *,
    jobs: int,
    builds: int,
    runs_top: Path | None,
    top: Path,
) -> tuple[matrix_result.MatrixResult, bool]:
    """Run all, and say whether it was interrupted."""
    started = time.monotonic()
    id_ = runs.new_id(f"{len([c for g in groups for c in g.cells])}-jobs")
    allowed = matrix_run.slots(groups, jobs=jobs, available_mib=matrix_run.available_mib())
    if allowed < jobs:
        log.warn(f"memory allows {allowed} of {jobs} jobs at a time")
    is_interrupted = False
    with Board(groups) as board:
        try:
            outcomes = matrix_run.run(
                groups, jobs=allowed, builds=builds, out=runs_top, on_progress=board.take
            )
        except matrix_run.Interrupted as error:
            outcomes, is_interrupted = error.outcomes, True
    result = matrix_report.make(
        id_=id_,
        title=title,
        seconds=time.monotonic() - started,
        groups=groups,
        outcomes=outcomes,
        folder=top / id_,
    )
    return result, is_interrupted
