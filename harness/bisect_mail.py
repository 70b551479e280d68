"""Renders a bisect as a report to those who made the commit: for a person to change and send. Pure.

As Documentation/admin-guide/reporting-regressions.rst of the kernel asks for it.
"""

from collections.abc import Iterator, Sequence

from harness import bisect_report, mailtext, printable
from harness.bisect_result import BisectResult, FirstBad
from harness.bisect_state import Over

_LIST = "regressions@lists.linux.dev"


def mail(result: BisectResult) -> bytes:
    """Return the mail, a reply to the one that the commit links to; empty if no commit is it."""
    clean = printable.struct(result)
    first = clean.first_bad
    if first is None or result.over is not Over.COMMITS:
        return b""
    is_fix = clean.looked_for == "fixed"
    return mailtext.compose(
        _body(clean, first, is_fix=is_fix),
        subject=f"{'Fixed by:' if is_fix else '[REGRESSION]'} {first.subject}",
        to=first.author,
        cc=[*first.people, *([] if is_fix else [_LIST])],
        message_id=first.message_id,
    )


def _body(result: BisectResult, first: FirstBad, *, is_fix: bool) -> Iterator[str]:
    name = f'{bisect_report.name_of(result, first.commit)} ("{first.subject}")'
    yield from mailtext.prose(f"Commit {name} {'repairs' if is_fix else 'brings'} this:")
    yield from ("", f"    {result.signature}")
    yield from _quoted("With it there is:", first.evidence)
    before = bisect_report.name_of(result, first.parent)
    yield from _quoted(
        f"The commit before it, {before}, came to {first.parent_said}:", first.parent_evidence
    )
    sure = f", {result.confidence:.1%} sure" if result.confidence < 1 else ""
    yield ""
    yield from mailtext.prose(
        f"Bisected from {result.good} (good) to {result.bad} (bad) in {len(result.tries)} tries"
        f"{sure}; {bisect_report.count(result)}."
    )
    # Other bugs of the range, which whoever reads the mail may know.
    in_the_way = [line for each in result.skipped for line in bisect_report.skipped(result, each)]
    if in_the_way:
        yield from ("", "In the way was:", "", *in_the_way)
    yield from ("", "To repeat it:", "", f"    {result.repro}")
    if not is_fix:
        yield from ("", f"#regzbot introduced: {first.commit}")


def _quoted(words: str, lines: Sequence[str]) -> Iterator[str]:
    yield ""
    yield from mailtext.prose(words)
    yield from ("", *(f"    {line}" for line in lines[: bisect_report.MAX_EVIDENCE]))
