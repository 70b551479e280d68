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
@click.option("--kernels", multiple=True, metavar="DIR|FILE|deb:PATTERN", help=(
    "Not commits but kernels, by their versions; nothing is built. May be repeated."))  # fmt: skip
@click.option("--patches", is_flag=True, help=(
    "Not commits but which patches of --series: the fewest that show the finding."))  # fmt: skip
@click.option("--config", "configs", nargs=2, type=options.FILE, metavar="A B", help=(
    "Not commits but which symbols of the .config B show what A does not."))  # fmt: skip
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
@click.option("--series", metavar="NAME|DIR|MBOX|RANGE|none", help=(
    "Patches to apply on each commit; with --patches and the like, on --base.  "
    "[default: none on commits]"))  # fmt: skip
@click.option("--base", metavar="REV", help="What the series is applied to, where no commit is.")
@options.tree_option
@options.kernel_option
@options.kconfig_options
@options.scenario_options
@options.compress_option
@options.boot_options
@options.allow_option
@options.expect_option
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

    In place of commits it goes over --kernels, or finds which part it takes of a series
    (--patches), of two .configs (--config), or, with neither end named, of --cmdline.

    \b
    Examples:
      harness bisect --tree ~/linux --good v6.18 --bad v6.19-rc1
      harness bisect --tree ~/linux --good HEAD~64 --bad HEAD --scenario nullfs
      harness bisect --tree ~/linux --good v6.18 --bad HEAD --flaky 8
      harness bisect --kernels /boot --kernels 'deb:linux-image-6.1.0-*-amd64'
      harness bisect --patches --series ./v2.mbox --base 6.18.5
      harness bisect --cmdline 'nullfs_rootfs quiet mitigations=off'
      harness bisect --config good.config bad.config
      harness bisect --continue
    """
    # --help need not pay for these.
    from harness import bisect, bisect_report, bisect_result, bisect_state, paths  # noqa: PLC0415
    from harness import settings as settings_  # noqa: PLC0415
    from harness.store import Store  # noqa: PLC0415

    options.set_talk(quiet=quiet, verbose=verbose)
    settings = settings_.load(Path.cwd())
    store = Store(paths.cache_dir())
    is_begun = is_continue or is_status or is_log
    state = _begun(replay, given) if replay or is_begun else _begin(settings, store, **given)
    folder = bisect_state.folder_of(state)
    if is_log:
        click.echo((folder / bisect_state.FILE).read_text(), nl=False)
        return 0
    if not is_status:
        bisect_state.check_folder(state)
        state = bisect.Bisect(state, settings=settings, store=store).run()
    result = bisect_result.of(state, is_over=not is_status)
    if not is_status:
        _write(folder, result)
    if is_json:
        sys.stdout.buffer.write(bisect_result.encode(result))
    else:
        click.echo(bisect_report.text(result, str(folder), style=options.style), nl=False)
    return 0 if is_status else result.exit_code


def _check_asks_nothing(given: dict[str, Any]) -> None:
    """Refuse what would begin another bisect: the one that goes on has its question."""
    context = click.get_current_context()
    options_of = {param.name: param.opts[0] for param in context.command.params}
    for name in given:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(
                f"a bisect that goes on has its question: {options_of[name]} would not change it",
                hint="drop it, or begin anew with all of the question",
            )


def _begun(file: Path | None, given: dict[str, Any]) -> Any:
    from harness import bisect_state  # noqa: PLC0415

    _check_asks_nothing(given)
    return bisect_state.load(file) if file else bisect_state.latest()


def _write(folder: Path, result: Any) -> None:
    from harness import bisect_mail, bisect_report, bisect_result  # noqa: PLC0415
    from harness.store import write_atomically  # noqa: PLC0415

    write_atomically(folder / "bisect.json", bisect_result.encode(result))
    write_atomically(folder / "bisect.html", bisect_report.page(result).encode())
    if draft := bisect_mail.mail(result):
        write_atomically(folder / "reply.txt", draft)


def _begin(settings: Any, store: Any, *, kernels: tuple[str, ...], **given: Any) -> Any:
    from harness import arch, bisect_kernels, bisect_over  # noqa: PLC0415

    question = _question(settings, kernels=kernels, **given)
    if kernels:
        return bisect_kernels.begin(question, kernels, arch.load(question.job.arch), store)
    return bisect_over.begin(question, settings=settings, store=store)


def _question(
    settings: Any, *, good: str | None, bad: str | None, find: str, measure: str | None,
    above: float | None, below: float | None, rounds: int | None, confidence: float,
    kernels: tuple[str, ...], patches: bool, configs: tuple[Path, Path] | None,
    series: str | None, **given: Any,
) -> Any:  # fmt: skip
    from harness.bisect_state import Over, Question  # noqa: PLC0415
    from harness.signature import Threshold  # noqa: PLC0415

    chosen = {
        Over.KERNELS: bool(kernels), Over.PATCHES: patches, Over.CONFIG: bool(configs)
    }  # fmt: skip
    over = [each for each, is_given in chosen.items() if is_given] or [
        Over.CMDLINE if given.get("cmdline") and not (good or bad) else Over.COMMITS
    ]
    if len(over) > 1:
        raise UsageError(
            f"--{over[0].value} and --{over[1].value} are two questions", hint="ask one at a time"
        )
    _check_ends(over[0].value, good, bad, given)
    if (measure is None) != (above is None and below is None) or None not in (above, below):
        raise UsageError("--measure NAME goes with one of --above N and --below N")
    if series is None and (over[0] in (Over.COMMITS, Over.KERNELS)) and not given.get("kernel"):
        series = "none"
    fixed = find == "fixed"
    return Question(
        job=options.make_job(settings, series=series, **given),
        old=(bad if fixed else good) or "",
        new=(good if fixed else bad) or "",
        over=over[0],
        folder=Path.cwd(),
        configs=configs or (),
        fixed=fixed,
        threshold=Threshold(name=measure, above=above, below=below) if measure else None,
        confidence=confidence,
        rounds=rounds or 1,
    )


def _check_ends(over: str, good: str | None, bad: str | None, given: dict[str, Any]) -> None:
    """Refuse what means nothing for what is gone over."""
    if over == "commits":
        if good is None or bad is None:
            raise UsageError(
                "a bisect needs both ends: --good REV and --bad REV",
                hint="or --continue, to go on with the last one",
            )
        meaningless = {"base": "--base", "kernel": "--kernel"}
    elif over == "kernels":
        meaningless = {"base": "--base", "kernel": "--kernel", "tree": "--tree"}
    else:
        if good or bad:
            raise UsageError(
                f"--good and --bad are revisions, and --{over} has none",
                hint="all of it is bad, and none of it good; --find fixed turns that round",
            )
        meaningless = {} if over == "cmdline" else {"kernel": "--kernel"}
    for name, option in meaningless.items():
        if given.get(name):
            raise UsageError(f"a bisect over {over} has no {option}", hint="drop it")
