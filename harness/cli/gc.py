"""`harness gc`: bound the cache and the runs."""

import click

from harness import gc, paths
from harness.store import Store

_GIB = 2**30


@click.command("gc")
@click.option("--max-age", type=click.FloatRange(min=0), default=30.0, show_default=True,
              metavar="DAYS", help="Delete what was not used for this long.")  # fmt: skip
@click.option("--max-size", type=click.FloatRange(min=0), default=20.0, show_default=True,
              metavar="GIB", help="Then the least used, until this much is left.")  # fmt: skip
@click.option("-n", "--dry-run", is_flag=True, help="Say what would go, delete nothing.")
def command(*, max_age: float, max_size: float, dry_run: bool) -> int:
    """Delete old kernels, build folders, runs and reports; never what a running job holds.

    \b
    Examples:
      harness gc --dry-run
      harness gc --max-age 7 --max-size 5
    """
    swept = gc.sweep(
        Store(paths.cache_dir()),
        max_age_s=max_age * gc.DAY_S,
        max_size=int(max_size * _GIB),
        dry_run=dry_run,
    )
    verb = "would delete" if dry_run else "deleted"
    for item in swept.deleted:
        click.echo(f"{verb} {item.what} {item.path} ({_mib(item.size)})")
    for item in swept.busy:
        click.echo(f"kept {item.what} {item.path}: a running job holds it")
    freed = sum(item.size for item in swept.deleted)
    click.echo(f"{_mib(freed)} freed, {_mib(swept.kept_size)} kept")
    return 0


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
