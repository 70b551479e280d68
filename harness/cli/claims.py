"""`harness claims`: what a scenario claims beside what runs have observed."""

import click

from harness import claims, runs


@click.command("claims")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
def command(*, names: tuple[str, ...]) -> int:
    """Print a Markdown page of RUNs: a row a claim, a column a variant, and whether it holds.

    \b
    Examples:
      harness claims latest
      harness claims 20261124-093502-b9e0b6bd 20261124-093500-f45451b5 > findings.md
    """
    click.echo(claims.page([runs.read(runs.find(name)) for name in names]), nl=False)
    return 0
