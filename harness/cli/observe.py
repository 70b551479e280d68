"""`harness observe`: what a kernel does, with nothing judged."""

import sys
from typing import Any

import click

from harness import tables
from harness.cli import options

ALL_FLOWS = ("all",)


@click.command("observe")
@options.series_options
@options.kernel_option
@options.kconfig_options
@options.scenario_options
@options.compress_option
@options.boot_options
@click.option("--json", "is_json", is_flag=True, help="Print harness.observations/1 instead.")
@options.talk_options
def command(*, is_json: bool, flows: tuple[str, ...], verbose: bool, **given: Any) -> int:
    """Boot a kernel and print everything that the scenario observes of it; judge nothing.

    All flows run unless --flow names some. No expectation is looked at, and a parameter that the
    kernel does not know is only said. Exits 1 if a guest did not come to its end; what it
    observed until then is printed all the same.

    \b
    Examples:
      harness observe --cmdline nullfs_rootfs
      harness observe --series none --base 6.19.11 --flow pivot --json
      harness observe --kernel arch/x86/boot/bzImage --scenario nullfs
    """
    from harness import observations, observe  # noqa: PLC0415 - what --help need not pay for

    pipeline = options.make_pipeline(
        on_output=options.streamer() if verbose else None,
        verbose=verbose,
        flows=flows or ALL_FLOWS,
        **given,
    )
    observed = observe.observations_of(pipeline)
    if is_json:
        sys.stdout.buffer.write(observations.encode(observed))
    else:
        click.echo(tables.observations(observed, style=options.style), nl=False)
    return 1 if observed.unfinished else 0
