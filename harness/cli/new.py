"""`harness new`: what a series and its scenario begin with."""

from pathlib import Path

import click

from harness import scaffold
from harness.settings import FILE_NAME


@click.command("new")
@click.argument("name")
def command(*, name: str) -> int:
    """Write a harness.toml, a series and a scenario called NAME here, each line explained.

    Patches go to patches/NAME, guest code to initramfs/NAME. The scenario runs as it is:
    `harness boot` shows what it observes. A file that is there is never written over.

    \b
    Examples:
      harness new my-topic
      harness boot --base 6.18.5
    """
    here = Path.cwd()
    made = scaffold.make(name, here)
    for file in made:
        click.echo(str(file.relative_to(here)))
    if here / FILE_NAME not in made:
        click.echo(f'{FILE_NAME} is kept as it is; it may want: scenario = "{name}"', err=True)
    click.echo(
        f"next: harness boot --scenario {name}; then git format-patch -o patches/{name} main..topic"
        f" and harness check {name}",
        err=True,
    )
    return 0
