"""`harness initramfs`: the guest's root file system."""

from typing import Any

import click

from harness import initramfs, outfit, printable
from harness.cli import options


@click.command("initramfs")
@options.scenario_options
@options.compress_option
@click.option("--arch", metavar="NAME", help="The guest's architecture.  [default: x86_64]")
@click.option("--list", "is_list", is_flag=True, help="Print what it holds, not where it is.")
@options.talk_options
def command(*, is_list: bool, **given: Any) -> int:
    """Compile a scenario's guest code, pack the initramfs, and print its path.

    \b
    Examples:
      harness initramfs --list
      harness initramfs --scenario boot
      harness initramfs --compress zstd
    """
    pipeline = options.make_pipeline(**given)
    if is_list:
        # What is in it is the same, however it is packed.
        for line in initramfs.list_contents(pipeline.initramfs.path):
            click.echo(printable.text(line))
    else:
        job, store = pipeline.job, pipeline.store
        click.echo(outfit.pack(pipeline.initramfs, job.compress, store, pipeline.stages).path)
    return 0
