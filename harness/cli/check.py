"""`harness check`: the gate before a series is merged."""

import sys
from pathlib import Path
from typing import Any

import click

from harness.cli import options

_STDOUT = "-"


def _reports(
    _ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, Path | None], ...]:
    """Check what --report says before hours are spent: there is the report, and a place for it."""
    if not values:
        return ()
    from harness import check_reports  # noqa: PLC0415 - `--help` need not pay for it

    found: list[tuple[str, Path | None]] = []
    for value in values:
        name, has_file, file = value.partition("=")
        check_reports.report_of(name)
        path = Path(file).absolute()
        if not has_file or not file:
            raise click.BadParameter(f"{value!r} names no file: {name}=FILE", param=param)
        if file != _STDOUT and not path.parent.is_dir():
            raise click.BadParameter(f"no such folder: {path.parent}", param=param)
        found.append((name, None if file == _STDOUT else path))
    if sum(file is None for _, file in found) > 1:
        raise click.BadParameter("only one report can go to stdout", param=param)
    return tuple(found)


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
@click.option("--report", "reports", multiple=True, metavar="NAME=FILE", callback=_reports, help=(
    "Write a report to a file too, or to stdout (`-`): text, html, json, junit, ktap, sarif, "
    "kcidb, summary, annotations, b4, mail; may be repeated. The gate's folder has "
    "all of them."))  # fmt: skip
@click.option("--json", "is_json", is_flag=True, help="Print harness.check/1 in place of a report.")
@options.talk_options
def command(
    *, series: str | None, cmdlines: tuple[str, ...], against: str | None, rounds: int,
    is_fresh: bool, out: Path | None, reports: tuple[tuple[str, Path | None], ...], is_json: bool,
    quiet: bool, verbose: bool, **given: Any,
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
      harness check my-topic --tree ~/linux --report html=check.html --report junit=junit.xml
    """
    # --help need not pay for these.
    from harness import check, check_reports, check_text, paths  # noqa: PLC0415
    from harness import settings as settings_  # noqa: PLC0415
    from harness.store import Store  # noqa: PLC0415

    options.set_talk(quiet=quiet, verbose=verbose)
    settings = settings_.load(Path.cwd())
    asked = check.Asked(
        cmdlines=cmdlines, against=against, rounds=rounds, is_fresh=is_fresh, out=out,
        reports=tuple((name, file) for name, file in reports if file),
    )  # fmt: skip
    published = check.run(
        options.make_job(settings, series=series, **given),
        asked,
        settings=settings,
        store=Store(paths.cache_dir()),
        stdin=sys.stdin.buffer,
    )
    result = published.result
    printed = ["json"] if is_json else [name for name, file in reports if file is None]
    if printed:
        file = published.folder / check_reports.report_of(printed[0]).file
        sys.stdout.buffer.write(file.read_bytes())
    else:
        click.echo(check_text.text(result, str(published.folder), style=options.style), nl=False)
    return result.exit_code
