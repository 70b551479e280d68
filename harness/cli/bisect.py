"""`harness bisect`: the commit that brought a finding, or that repaired it."""

import sys
from pathlib import Path
from typing import Any

import click

from harness.cli import options
from harness.errors import UsageError

_FIND = click.Choice(["bad", "fixed"])


@click.command("bisect")
@click.option("--good", metavar="REV", help="A revision without the finding.")
@click.option("--bad", metavar="REV", help="A revision with it.")
@click.option("--find", type=_FIND, default="bad", show_default=True,
              help="The commit that brings it; or with `fixed`, where --bad is the older one, the "
              "commit that repairs it.")  # fmt: skip
@click.option("--measure", metavar="NAME", help=(
    "An observation that is a number, or boot.seconds, with --above or --below."))  # fmt: skip
@click.option("--above", type=float, metavar="N", help="Bad is more than this.")
@click.option("--below", type=float, metavar="N", help="Bad is less than this.")
@click.option("--flaky", "rounds", type=click.IntRange(min=2), metavar="N", help=(
    "The finding comes and goes: boot the ends up to N times, and weigh the odds."))  # fmt: skip
@click.option("--confidence", type=click.FloatRange(0.5, 0.9999), default=0.99, show_default=True,
              metavar="P", help="How sure to be, with --flaky.")  # fmt: skip
@click.option("--continue", "is_continue", is_flag=True, help="Go on with the last bisect.")
@click.option("--status", "is_status", is_flag=True, help="Show where the last bisect is.")
@click.option("--log", "is_log", is_flag=True, help="Print the last bisect's state, for --replay.")
@click.option("--replay", type=options.FILE, metavar="FILE", help="Go on with such a state.")
@click.option("--series", metavar="NAME|DIR|MBOX|none", help=(
    "Patches to apply on each commit.  [default: none]"))  # fmt: skip
@options.tree_option
@options.kconfig_options
@options.scenario_options
@options.compress_option
@options.boot_options
@options.allow_option
@click.option(
    "--json", "is_json", is_flag=True, help="Print harness.bisect/1 in place of a report."
)
@options.talk_options
def command(
    *, is_continue: bool, is_status: bool, is_log: bool, replay: Path | None, is_json: bool,
    quiet: bool, verbose: bool, **given: Any,
) -> int:  # fmt: skip
    """Find the commit between two revisions that brought a finding.

    Both ends are run first; what the bad one shows and the good one does not is the signature. A
    commit in between is bad only if it shows the same, and good only if it came as far. Exits
    with 0 if the commit was found, 1 if the ends do not differ, 125 if only a range is left.

    \b
    Examples:
      harness bisect --tree ~/linux --good v6.18 --bad v6.19-rc1
      harness bisect --tree ~/linux --good HEAD~64 --bad HEAD --scenario nullfs
      harness bisect --tree ~/linux --good v6.18 --bad HEAD --flaky 8
      harness bisect --continue
    """
    # --help need not pay for these.
    from harness import bisect, bisect_report, bisect_result, bisect_state, paths  # noqa: PLC0415
    from harness import settings as settings_  # noqa: PLC0415
    from harness.store import Store, write_atomically  # noqa: PLC0415

    options.set_talk(quiet=quiet, verbose=verbose)
    settings = settings_.load(Path.cwd())
    if replay:
        state = bisect_state.load(replay)
    elif is_continue or is_status or is_log:
        state = bisect_state.latest()
    else:
        state = bisect.begin(_question(settings, **given))
    folder = bisect_state.folder_of(state)
    if is_log:
        click.echo((folder / bisect_state.FILE).read_text(), nl=False)
        return 0
    if not is_status:
        work = bisect.Bisect(state, settings=settings, store=Store(paths.cache_dir()))
        state = work.run(lambda _: None)
    result = bisect_result.of(state, is_over=not is_status)
    if not is_status:
        write_atomically(folder / "bisect.json", bisect_result.encode(result))
        write_atomically(folder / "bisect.html", bisect_report.page(result).encode())
        if draft := bisect_report.mail(result):
            write_atomically(folder / "reply.txt", draft.encode())
    if is_json:
        sys.stdout.buffer.write(bisect_result.encode(result))
    else:
        click.echo(bisect_report.text(result, str(folder), style=options.style), nl=False)
    return 0 if is_status else result.exit_code


def _question(
    settings: Any, *, good: str | None, bad: str | None, find: str, measure: str | None,
    above: float | None, below: float | None, rounds: int | None, confidence: float,
    series: str | None, **given: Any,
) -> Any:  # fmt: skip
    from harness.bisect_state import Question  # noqa: PLC0415
    from harness.signature import Threshold  # noqa: PLC0415

    if good is None or bad is None:
        raise UsageError(
            "a bisect needs both ends: --good REV and --bad REV",
            hint="or --continue, to go on with the last one",
        )
    if (measure is None) != (above is None and below is None) or None not in (above, below):
        raise UsageError("--measure NAME goes with one of --above N and --below N")
    threshold = Threshold(name=measure, above=above, below=below) if measure else None
    fixed = find == "fixed"
    return Question(
        job=options.make_job(settings, series=series or "none", **given),
        old=bad if fixed else good,
        new=good if fixed else bad,
        fixed=fixed,
        threshold=threshold,
        confidence=confidence,
        rounds=rounds or 1,
    )
