"""`harness apply`: base + series as a commit."""

from typing import Any

import click

from harness import printable
from harness.cli import options


@click.command("apply")
@options.series_options
@options.talk_options
def command(**given: Any) -> int:
    """Apply a series to its base, and print the commit in the tool's own repository.

    \b
    Examples:
      harness apply
      harness apply --series nullfs:2 --base 6.19.11
    """
    tree = options.make_pipeline(**given).tree
    for patch in tree.patches:
        subject = printable.text(patch.subject)
        click.echo(f"{patch.commit[:12]} {patch.state.value:<15} {patch.number}: {subject}")
    click.echo(f"{tree.commit} tree {tree.tree_hash} in {tree.repo}")
    return 0
