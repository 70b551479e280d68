"""`harness parse`: the verdict of a stored console log."""

import sys
from pathlib import Path
from typing import BinaryIO

import click

from harness import console, parsed, prefixes, printable, verdict
from harness.cli import options
from harness.errors import EXIT_CODES, Outcome
from harness.log import warn

_PORTION = 1 << 20


@click.command("parse")
@click.argument("log", type=click.File("rb"), metavar="LOG|-")
@click.option(
    "--vmlinux",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The kernel of the log, built with DWARF: say the file and line of each call.",
)
@click.option("--json", "is_json", is_flag=True, help="Print harness.parse/1 in place of text.")
def command(*, log: BinaryIO, vmlinux: Path | None, is_json: bool) -> int:
    """Judge a console log, of this tool or another's, by the first thing that went wrong in it.

    What syslog, journald, dmesg or a CI puts before its lines is taken off.

    \b
    Examples:
      harness parse ~/.local/state/harness/runs/latest/console.log
      dmesg | harness parse -
      journalctl --dmesg | harness parse --json -
    """
    portions = iter(lambda: log.read(_PORTION), b"")
    read = console.parse(prefixes.strip(portions))
    if vmlinux and read.splats:
        from harness import symbols  # noqa: PLC0415 - a log without a report has no use for it

        read = symbols.locate(read, vmlinux)
        if not any(splat.places for splat in read.splats):
            warn(f"--vmlinux {vmlinux}: it has no DWARF, or no function of the reports")
    found = verdict.judge_log(read)
    if is_json:
        sys.stdout.buffer.write(parsed.encode(parsed.of(read, found)))
        return EXIT_CODES[found.outcome]
    word = options.style(found.outcome.value, "good" if found.outcome is Outcome.PASS else "bad")
    click.echo(f"{word}: {printable.text(found.reason)}")
    for line in found.evidence:
        click.echo(f"  {printable.text(line)}")
    return EXIT_CODES[found.outcome]
