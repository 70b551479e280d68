"""`harness show`: a run that is over."""

import sys

import click

from harness import printable, report, result, runs
from harness.cli import options


@click.command("show")
@click.argument("run", required=False)
@click.option("--list", "is_list", is_flag=True, help="One line a run, oldest first.")
@click.option("--json", "is_json", is_flag=True, help="Print result.json.")
def command(*, run: str | None, is_list: bool, is_json: bool) -> int:
    """Print the full report of RUN: a folder, or a name or the end of one; the last without.

    \b
    Examples:
      harness show
      harness show --list
    """
    if is_list:
        for folder in runs.all_runs():
            found = printable.struct(runs.read(folder))
            click.echo(f"{found.id}  {found.verdict.outcome.value:<12}  {found.verdict.reason}")
        return 0
    folder = runs.find(run)
    found = runs.read(folder)
    if is_json:
        sys.stdout.buffer.write(result.encode(found))
    else:
        click.echo(report.text(found, folder, style=options.style, is_full=True), nl=False)
    return 0
