"""Renders a bisect: for people, as a reply mail to send by hand, and as one page. Pure."""

from harness import paths, printable
from harness.bisect_result import BisectResult, Ending, FirstBad, TryResult
from harness.report import Style, plain

_DATA = paths.PACKAGE_DIR / "data"
_SHORT = 12
_WIDTH = 72
_MAX_EVIDENCE = 8


def text(result: BisectResult, folder: str, *, style: Style = plain) -> str:
    """Return the report."""
    result = printable.struct(result)
    lines = [headline(result, style=style), ""]
    if result.first_bad:
        lines += _commit(result.first_bad)
    lines += [f"  looked for  {result.signature or 'what the ends differ in'}"]
    lines += [f"  bad         {result.bad}: {result.ends['bad'] or 'not tried yet'}"]
    lines += [f"  good        {result.good}: {result.ends['good'] or 'not tried yet'}"]
    if result.is_merge_base:
        lines += ["              (no ancestor of the other: their merge base is what was tried)"]
    count = f"{result.relevant} of {result.total} commits can matter"
    lines += [f"  range       {count}, {len(result.tries)} tries in {result.seconds:.0f} s"]
    lines += ["", *(f"  {_row(each)}" for each in result.tries)]
    if result.skipped:
        lines += ["", "could not be told"]
        lines += [
            f"  {_name(each.commit)} {each.outcome}: {each.reason}" for each in result.skipped
        ]
    if result.ended in (Ending.RANGE, Ending.UNDER_WAY) and result.suspects:
        lines += ["", "what is left"]
        lines += [
            f"  {each.likelihood:6.1%}  {_name(each.commit)} {each.subject}"
            for each in result.suspects
        ]
    lines += ["", f"  bisect     {folder}", f"  run again  {result.repro}"]
    return "\n".join(lines) + "\n"


def headline(result: BisectResult, *, style: Style = plain) -> str:
    """Return the answer in a line."""
    what = "repairs it" if result.looked_for == "fixed" else "brings it"
    if result.first_bad:
        sure = f", {result.confidence:.1%} sure" if result.confidence < 1 else ""
        name = _name(result.first_bad.commit)
        return f"{style('found', 'good')}: {name} ({result.first_bad.subject}) {what}{sure}"
    if result.ended is Ending.ALIKE:
        return (
            f"{style('the ends do not differ', 'bad')}: bad is {result.ends['bad']}; good is "
            + (result.ends["good"])
        )
    if result.ended is Ending.UNDER_WAY:
        return f"{style('under way', 'bold')}: {len(result.suspects)} commits are left"
    return f"{style('only a range', 'bad')}: {len(result.suspects)} commits, none of which answers"


def _commit(first: FirstBad) -> list[str]:
    lines = [f"  commit      {first.commit}", f"  author      {first.author}, {first.date}"]
    lines += [f"              {line}" for line in first.stat.splitlines()]
    lines += ["", *(f"  {line}" for line in first.evidence[:_MAX_EVIDENCE])]
    lines += ["", f"  before it   {_name(first.parent)} {first.parent_said}", ""]
    return lines


def _row(each: TryResult) -> str:
    told = f"{each.class_} ({each.told})" if each.class_ == "reused" else each.class_
    return f"{_name(each.commit)}  {told:13} {each.seconds:7.1f} s  {each.subject}"


def _name(commit: str) -> str:
    return commit[:_SHORT]


def mail(result: BisectResult) -> str:
    """Return a draft of a report to the author and the regression list; empty if none was found.

    (Documentation/admin-guide/reporting-regressions.rst)
    """
    first = result.first_bad
    if first is None:
        return ""
    result = printable.struct(result)
    word = "Fixed by" if result.looked_for == "fixed" else "[REGRESSION]"
    short = _name(first.commit)
    lines = [
        f"To: {first.author}",
        "Cc: regressions@lists.linux.dev",
        f"Subject: {word} {first.subject}",
        "",
        f'Commit {short} ("{first.subject}")',
        f"{'repairs' if result.looked_for == 'fixed' else 'brings'} this:",
        "",
        f"    {result.signature}",
        "",
        *(f"    {line}" for line in first.evidence[:_MAX_EVIDENCE]),
        "",
        f"The commit before it, {_name(first.parent)}, came to:",
        "",
        f"    {first.parent_said}",
        "",
        f"Bisected between {result.good} and {result.bad} in {len(result.tries)} tries;",
        f"{result.relevant} of {result.total} commits can matter; {result.confidence:.1%} sure.",
        "To repeat it:",
        "",
        f"    {result.repro}",
        "",
    ]
    if result.looked_for == "bad":
        lines += [f"#regzbot introduced: {first.commit}", ""]
    return "\n".join(lines)


def page(result: BisectResult) -> str:
    """Return one self-contained HTML page with the tries in their order."""
    import jinja2  # noqa: PLC0415 - 70 ms, and only a bisect that is over has a page

    result = printable.struct(result)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DATA), undefined=jinja2.StrictUndefined,
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    longest = max((each.seconds for each in result.tries), default=1.0) or 1.0
    return environment.get_template("bisect.html.j2").render(
        result=result, headline=headline(result), longest=longest
    )
