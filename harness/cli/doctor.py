"""`harness doctor`: what is here, what is missing, the command that installs it."""

import sys

import click

from harness import accel, arch, doctor, paths
from harness.cli import options
from harness.errors import EXIT_HOST
from harness.store import Store

_WIDE = 200


@click.command("doctor")
def command() -> int:
    """Say of each tool: found where, which version, needed for what, how to get it.

    Exits 128 if the main job cannot run here.
    """
    from rich.console import Console  # noqa: PLC0415 - 60 ms, for this verb alone
    from rich.table import Table  # noqa: PLC0415

    tools = doctor.examine()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("tool", "found", "version", "for", "package"):
        table.add_column(heading, overflow="fold")
    for tool in tools:
        found = str(tool.found) if tool.found else f"[red]missing[/red] ({tool.needed})"
        table.add_row(tool.name, found, tool.version, tool.purpose, tool.debian)
    # What is no terminal has no width to fold the lines to.
    width = None if sys.stdout.isatty() else _WIDE
    Console(highlight=False, width=width).print(table)
    vital = [tool for tool in tools if tool.found is None and tool.is_vital]
    click.echo()
    if not vital:
        chosen = accel.choose(arch.of_this_machine(), Store(paths.cache_dir()))
        click.echo(f"accelerator: {chosen}")
        click.echo(doctor.sandbox_line())
    for line in doctor.install_lines(tools):
        click.echo(line)
    ready = "no: a tool that the main job needs is missing" if vital else "yes"
    click.echo(f"ready: {options.style(ready, 'bad' if vital else 'good')}")
    return EXIT_HOST if vital else 0
