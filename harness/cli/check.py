"""`harness check`: the gate before a series is merged."""

import sys
from pathlib import Path
from typing import Any

import click

from harness.cli import options


@click.command("check")
@click.argument("series", required=False, metavar="[SERIES]")
@click.option("--base", metavar="REV", help=(
    "What the series is applied to: a kernel version, or a revision of --tree.  "
    "[default: as the series says, else the nearest there is]"))  # fmt: skip
@options.tree_option
@options.kconfig_options
@options.scenario_options
@click.option("--cmdline", "cmdlines", multiple=True, metavar="WORDS", help=(
    "Parameters to boot with; may be repeated.  [default: the series' own]"))  # fmt: skip
@options.limit_options
@options.allow_option
@click.option("--against", metavar="REV|RUN",
              help="Hold it against this base, or this run, in place of its own base.")  # fmt: skip
@click.option("--measure", "rounds", type=click.IntRange(min=0), default=6, show_default=True,
              metavar="N", help="Boot base and tip N times by turns, to compare how long they take "
              "and what memory they leave; 0 does not.")  # fmt: skip
@click.option("--fresh", "is_fresh", is_flag=True,
              help="Boot again what an earlier check has booted.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
              metavar="DIR", help="Put gates/ and runs/ in here.")  # fmt: skip
@click.option("--json", "is_json", is_flag=True, help="Print harness.check/1 in place of a report.")
@options.talk_options
def command(
    *, series: str | None, cmdlines: tuple[str, ...], against: str | None, rounds: int,
    is_fresh: bool, out: Path | None, is_json: bool, quiet: bool, verbose: bool, **given: Any,
) -> int:  # fmt: skip
    """Test every patch of a series against its base, and say whether to merge it.

    SERIES is what `--series` of `harness boot` takes, or a branch of --tree. The tip is tested
    first, then the base, then the patches between. Exits with 0 if it can be merged, 1 with a
    finding, 125 if that cannot be told.

    \b
    Examples:
      harness check nullfs
      harness check nullfs --base 6.19.11
      harness check my-topic --tree ~/linux --scenario boot
      b4 am -o - MSGID | harness check -
    """
    # --help need not pay for these.
    from harness import check, check_result, check_text, paths  # noqa: PLC0415
    from harness import settings as settings_  # noqa: PLC0415
    from harness.store import Store  # noqa: PLC0415

    options.set_talk(quiet=quiet, verbose=verbose)
    settings = settings_.load(Path.cwd())
    asked = check.Asked(
        cmdlines=cmdlines, against=against, rounds=rounds, is_fresh=is_fresh, out=out
    )
    published = check.run(
        options.make_job(settings, series=series, **given),
        asked,
        settings=settings,
        store=Store(paths.cache_dir()),
        stdin=sys.stdin.buffer,
    )
    result = published.result
    if is_json:
        sys.stdout.buffer.write(check_result.encode(result))
    else:
        click.echo(check_text.text(result, str(published.folder), style=options.style), nl=False)
    return result.exit_code
