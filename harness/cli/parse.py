"""`harness parse`: the verdict of a stored console log."""

from typing import BinaryIO

import click

from harness import console, verdict
from harness.cli import options
from harness.errors import EXIT_CODES, Outcome

_PORTION = 1 << 20


@click.command("parse")
@click.argument("log", type=click.File("rb"), metavar="LOG|-")
def command(*, log: BinaryIO) -> int:
    """Judge a console log, of this tool or another's, by the first thing that went wrong in it.

    \b
    Examples:
      harness parse ~/.local/state/harness/runs/latest/console.log
      dmesg | harness parse -
    """
    portions = iter(lambda: log.read(_PORTION), b"")
    found = verdict.judge_log(console.parse(portions))
    word = options.style(found.outcome.value, "good" if found.outcome is Outcome.PASS else "bad")
    click.echo(f"{word}: {found.reason}")
    for line in found.evidence:
        click.echo(f"  {line}")
    return EXIT_CODES[found.outcome]
