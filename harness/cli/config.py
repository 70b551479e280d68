"""`harness config`: the resolved .config."""

from typing import Any

import click

from harness.cli import options


@click.command("config")
@options.series_options
@options.kconfig_options
@options.scenario_options
@options.compress_option
@options.talk_options
def command(**given: Any) -> int:
    """Render the kconfig, let the tree's Kconfig resolve it, and print the .config's path.

    \b
    Examples:
      harness config
      harness config --profile full --kconfig CONFIG_OVERLAY_FS=y
    """
    pipeline = options.make_pipeline(**given)
    click.echo(pipeline.kconfig.path)
    return 0
