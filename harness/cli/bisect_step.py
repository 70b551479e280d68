"""`harness bisect-step`: what `git bisect run` runs on each commit."""

from pathlib import Path
from typing import Any

import click

from harness.cli import options
from harness.errors import EXIT_HOST, EXIT_UNTESTABLE, HarnessError, HostError


@click.command("bisect-step")
@options.tree_option
@click.option("--series", metavar="NAME|DIR|MBOX|none", help=(
    "Patches to apply on the commit.  [default: none]"))  # fmt: skip
@click.option("--like", metavar="RUN", help=(
    "Only what this run found is bad; another finding is skipped."))  # fmt: skip
@options.kconfig_options
@options.scenario_options
@options.compress_option
@options.boot_options
@options.allow_option
@options.expect_option
@options.talk_options
def command(*, tree: Path | None, like: str | None, series: str | None, **given: Any) -> int:
    """Boot the commit that is checked out, and exit as `git bisect run` expects.

    0 is good, 1 bad, 125 skips the commit, 128 ends the bisect. The commit is HEAD of the clone,
    by default the one around here; its files are not read, so they may be anything.

    \b
    Examples:
      harness bisect-step --tree ~/linux
      git bisect run harness bisect-step --scenario boot
      git bisect run harness bisect-step --like 20261125-101500-5c0ffee5
    """
    from harness import bootcache, report, runs, signature  # noqa: PLC0415
    from harness.errors import EXIT_CODES, Outcome, SubjectError  # noqa: PLC0415

    try:
        pipeline = options.make_pipeline(
            tree=tree or Path.cwd(), base="HEAD", series=series or "none", **given
        )
        wanted = signature.facts_of(runs.read(runs.find(like))) if like else None
        try:
            kept = bootcache.run(pipeline)
        except SubjectError as error:
            facts = signature.facts_of_fault(error)
        else:
            facts = signature.facts_of(kept.result, str(kept.folder or ""))
            click.echo(report.text(kept.result, kept.folder or Path(), style=options.style))
    except HostError:
        raise
    except HarnessError as error:
        # git takes 2 for bad: a word that is wrong must not be a commit's fault.
        raise HostError(error.message, hint=error.hint) from error
    if wanted is None:
        return EXIT_CODES[facts.outcome]
    # What it is held against is what passes, as nothing is known of the other end.
    sound = signature.Facts(outcome=Outcome.PASS, reason="")
    found = signature.of(wanted, sound)
    if found is None:
        raise HostError(f"--like {like}: that run has no finding")
    told = signature.classify(found, facts, sound)
    click.echo(f"{told.value}: {facts.outcome.value}: {facts.reason}")
    codes = {signature.Class.BAD: 1, signature.Class.GOOD: 0}
    return codes.get(told, EXIT_HOST if facts.outcome is Outcome.HOST_ERROR else EXIT_UNTESTABLE)
