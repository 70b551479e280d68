"""`harness build`: the kernel."""

from typing import Any

import click

from harness.cli import options


@click.command("build")
@options.series_options
@options.kconfig_options
@options.scenario_options
@click.option(
    "--image",
    type=click.Choice(["vmlinux", "bzImage"]),
    default="vmlinux",
    show_default=True,
    help="What to build; vmlinux is what boots fastest.",
)
@options.talk_options
def command(*, image: str, **given: Any) -> int:
    """Build the kernel, and print its path.

    \b
    Examples:
      harness build
      harness build --series none --image bzImage
    """
    kernel = options.make_pipeline(**given).build(image)
    for warning in kernel.warnings:
        click.echo(f"{warning.file}: {warning.message} [{warning.flag}]", err=True)
    click.echo(kernel.image)
    return 0
