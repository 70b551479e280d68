"""`harness shell`: the kernel under test with a prompt."""

from typing import Any

import click

from harness import shell
from harness.cli import options


@click.command("shell")
@options.series_options
@options.kernel_option
@options.kconfig_options
@click.option("--cmdline", metavar="WORDS", help="Parameters for the kernel under test.")
@click.option("--memory", "memory_mib", type=click.IntRange(min=16), metavar="MIB",
              help="The guest's memory, in MiB.  [default: 256]")  # fmt: skip
@click.option(
    "--host-root/--busybox",
    "on_host_root",
    default=None,
    help="What is mounted as /: this machine's root, read-only, or busybox in an initramfs.  "
    "[default: the former where the kernel can]",
)
@options.talk_options
def command(*, on_host_root: bool | None, **given: Any) -> int:
    """Boot the kernel that `harness boot` boots, to a prompt on this terminal.

    \b
    Examples:
      harness shell --cmdline nullfs_rootfs
      harness shell --profile full
    """
    pipeline = options.make_pipeline(scenario=shell.SCENARIO, **given)
    shell.run(pipeline, on_host_root=on_host_root)
    return 0
