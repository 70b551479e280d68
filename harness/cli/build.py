"""`harness build`: the kernel."""

from typing import Any

import click

from harness import printable
from harness.cli import options


@click.command("build")
@options.series_options
@options.kconfig_options
@options.scenario_options
@options.compress_option
@click.option(
    "--image",
    metavar="TARGET",
    help="What to build: vmlinux, bzImage, Image, …  [default: what boots fastest]",
)
@options.talk_options
def command(*, image: str | None, **given: Any) -> int:
    """Build the kernel, and print its path.

    \b
    Examples:
      harness build
      harness build --series none --image bzImage
    """
    pipeline = options.make_pipeline(**given)
    kernel = pipeline.build(image) if image else pipeline.kernel
    for warning in kernel.warnings:
        words = f"{warning.file}: {warning.message} [{warning.flag}]"
        click.echo(printable.text(words), err=True)
    click.echo(kernel.image)
    return 0
