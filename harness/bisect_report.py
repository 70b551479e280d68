"""Renders a bisect: for people, and as one page. Pure."""

from itertools import accumulate

import msgspec

from harness import paths, printable
from harness.bisect_result import BisectResult, Ending, FirstBad, Item, TryResult
from harness.bisect_skipped import Skipped, Span
from harness.bisect_state import Over
from harness.report import Style, plain

_DATA = paths.PACKAGE_DIR / "data"
_SHORT = 12
_WIDTH = 72
MAX_EVIDENCE, _MAX_SKIPPED, _MAX_SUSPECTS = 8, 4, 20
_NOUNS = {
    Over.COMMITS: "commits",
    Over.KERNELS: "kernels after the old end",
    Over.PATCHES: "patches",
    Over.CMDLINE: "parameters",
    Over.CONFIG: "symbols differ",
}


def text(result: BisectResult, folder: str, *, style: Style = plain) -> str:
    """Return the report."""
    result = printable.struct(result)
    lines = [headline(result, style=style), ""]
    if result.first_bad:
        lines += _first(result, result.first_bad)
    elif result.minimal:
        lines += [f"  {_item(each)}" for each in result.minimal]
        lines += [""]
    lines += [f"  looked for  {result.signature or 'what the ends differ in'}"]
    lines += [f"  bad         {result.bad}: {result.ends['bad'] or 'not tried yet'}"]
    lines += [f"  good        {result.good}: {result.ends['good'] or 'not tried yet'}"]
    if result.is_merge_base:
        lines += ["              (no ancestor of the other: their merge base is what was tried)"]
    took = f"{len(result.tries)} tries in {result.seconds:.0f} s"
    lines += [f"  range       {count(result)}, {took}"]
    lines += ["", *(f"  {_row(result, each)}" for each in result.tries)]
    if result.skipped:
        lines += ["", "in the way, and not what is looked for"]
        lines += [line for each in result.skipped for line in skipped(result, each)]
    if result.ended in (Ending.RANGE, Ending.UNDER_WAY) and result.suspects:
        lines += ["", "what is left"]
        lines += [
            f"  {each.likelihood:6.1%}  {name_of(result, each.commit)} {each.subject}"
            for each in result.suspects[:_MAX_SUSPECTS]
        ]
        if len(result.suspects) > _MAX_SUSPECTS:
            lines += [f"  and {len(result.suspects) - _MAX_SUSPECTS} more, all in bisect.json"]
    lines += ["", f"  bisect     {folder}", f"  run again  {result.repro}"]
    return "\n".join(lines) + "\n"


def headline(result: BisectResult, *, style: Style = plain) -> str:
    """Return the answer in a line."""
    what = "repairs it" if result.looked_for == "fixed" else "brings it"
    if result.minimal:
        parts = ", ".join(map(_item, result.minimal))
        together = " together" if len(result.minimal) > 1 else ""
        return f"{style('found', 'good')}: {parts}{together} {what}"
    if result.first_bad:
        sure = f", {result.confidence:.1%} sure" if result.confidence < 1 else ""
        name = name_of(result, result.first_bad.commit)
        return f"{style('found', 'good')}: {name} ({result.first_bad.subject}) {what}{sure}"
    if result.ended is Ending.ALIKE:
        return (
            f"{style('the ends do not differ', 'bad')}: bad is {result.ends['bad']}; good is "
            + (result.ends["good"])
        )
    if result.ended is Ending.UNDER_WAY:
        left = f": {len(result.suspects)} are left" if result.suspects else ""
        return f"{style('under way', 'bold')}{left}"
    if not result.suspects:
        return f"{style('no answer', 'bad')}: the tries contradict each other, so it comes and goes"
    return f"{style('only a range', 'bad')}: {len(result.suspects)} commits, none of which answers"


def count(result: BisectResult) -> str:
    """Return how much there is to go over."""
    if result.over is Over.COMMITS:
        return f"{result.relevant} of {result.total} commits can matter"
    return f"{result.total} {_NOUNS[result.over]}"


def _item(each: Item) -> str:
    return f"{each.name} ({each.subject})" if each.subject else each.name


def _first(result: BisectResult, first: FirstBad) -> list[str]:
    lines = [f"  {'commit' if first.author else 'found':10}  {first.commit}"]
    if first.author:
        lines += [f"  author      {first.author}, {first.date}"]
    lines += [f"              {line}" for line in first.stat.splitlines()]
    lines += ["", *(f"  {line}" for line in first.evidence[:MAX_EVIDENCE])]
    # Of a repair it is the commit itself that was booted again.
    is_fix = result.looked_for == "fixed"
    before = "without it" if result.over.is_subset else "before it "
    said = first.parent_said if result.over.is_subset else f"{name_of(result, first.parent)} "
    said += "" if result.over.is_subset else first.parent_said
    said += f", and {result.proofs} times more" if result.proofs and not is_fix else ""
    lines += ["", f"  {before}  {said}"]
    return [
        *lines,
        *(f"              {line}" for line in first.parent_evidence[:MAX_EVIDENCE]),
        "",
    ]


def _row(result: BisectResult, each: TryResult) -> str:
    told = f"{each.class_} ({each.told})" if each.class_ == "reused" else each.class_
    name = f"{name_of(result, each.commit):{_SHORT}}"
    return f"{name}  {told:13} {each.seconds:7.1f} s  {each.subject}"


def skipped(result: BisectResult, each: Skipped) -> list[str]:
    """Return what was in the way, with its ranges."""
    names = [name_of(result, commit) for commit in each.commits]
    more = f" and {len(names) - _MAX_SKIPPED} more" if len(names) > _MAX_SKIPPED else ""
    words = each.title if each.title.startswith(each.outcome) else f"{each.outcome}: {each.title}"
    lines = [
        f"  {words}",
        f"    {'tried':{_SHORT}}{', '.join(names[:_MAX_SKIPPED])}{more}",
    ]
    for word, span in (("brought in", each.began), ("gone in", each.ended)):
        if span:
            lines += [f"    {word:{_SHORT}}{_span(result, span)}"]
    return lines


def _span(result: BisectResult, span: Span) -> str:
    noun = "kernel" if result.over is Over.KERNELS else "commit"
    many = f"{span.commits} {noun}{'' if span.commits == 1 else 's'}"
    return f"{name_of(result, span.after)}..{name_of(result, span.until)} ({many})"


def name_of(result: BisectResult, name: str) -> str:
    """Return what was tried, as short as people know it."""
    if result.over is Over.COMMITS:
        return name[:_SHORT]
    return name.rpartition("/")[2] if result.over is Over.KERNELS else name


class _Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A try on the page: when it began and how long it took, in percent of all tries."""

    tried: TryResult
    name: str
    start: float
    width: float


def _timeline(result: BisectResult) -> list[_Bar]:
    whole = sum(each.seconds for each in result.tries) or 1.0
    ends = list(accumulate(each.seconds for each in result.tries))
    return [
        _Bar(
            tried=each, name=name_of(result, each.commit),
            start=100 * (end - each.seconds) / whole, width=100 * each.seconds / whole,
        )
        for each, end in zip(result.tries, ends, strict=True)
    ]  # fmt: skip


def page(result: BisectResult) -> str:
    """Return one self-contained HTML page with the tries in their order."""
    import jinja2  # noqa: PLC0415 - 70 ms, and only a bisect that is over has a page

    result = printable.struct(result)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DATA), undefined=jinja2.StrictUndefined,
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("bisect.html.j2").render(
        result=result, headline=headline(result), timeline=_timeline(result),
        count=count(result), items=[_item(each) for each in result.minimal],
        before=name_of(result, result.first_bad.parent) if result.first_bad else "",
        skipped=["\n".join(skipped(result, each)) for each in result.skipped],
    )  # fmt: skip
