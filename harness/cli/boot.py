"""`harness boot`: the whole pipeline, its report, its exit code."""

import sys
from pathlib import Path
from typing import Any

import click

from harness import report
from harness.cli import options
from harness.errors import EXIT_CODES, EXIT_INTERRUPTED


@click.command("boot")
@options.series_options
@options.kernel_option
@options.kconfig_options
@options.scenario_options
@options.kselftest_option
@options.compress_option
@options.boot_options
@options.allow_option
@options.expect_option
@click.option("--repeat", type=click.IntRange(min=1), metavar="N",
              help="Make all boots N times, and give how often they came to what.")  # fmt: skip
@click.option(
    "--until-fail", is_flag=True, help="Repeat until a finding: N times at most, or until ^C."
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
              metavar="DIR", help="Put the run's folder in here.")  # fmt: skip
@click.option("--json", "is_json", is_flag=True, help="Print result.json in place of the report.")
@options.talk_options
def command(*, out: Path | None, is_json: bool, verbose: bool, **given: Any) -> int:
    """Apply a series, build the kernel, boot it in QEMU and judge what it did.

    \b
    Examples:
      harness boot --cmdline nullfs_rootfs
      harness boot --series none --base 6.18.5
      harness boot --series ./mine.mbox --tree ~/linux --base v6.19 --scenario boot
      harness boot --kernel arch/x86/boot/bzImage --scenario nullfs
      harness boot --repeat 1000 --cmdline nullfs_rootfs
      harness boot --kselftest filesystems/statmount --kselftest landlock/fs_test
    """
    from harness import record, result  # noqa: PLC0415 - msgspec, which --help need not pay for

    pipeline = options.make_pipeline(
        on_output=options.streamer() if verbose else None,
        verbose=verbose,
        **given,
    )
    run = record.run_job(pipeline, out=out)
    if is_json:
        sys.stdout.buffer.write(result.encode(run.result))
    else:
        click.echo(report.text(run.result, run.folder, style=options.style), nl=False)
    if run.result.repeat and run.result.repeat.interrupted:
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    return EXIT_CODES[run.result.verdict.outcome]
