"""Takes a bisect's state, gives the findings that were in the way, each with its own range.

Pure. Half of what a bisect steps over is a bug of its own: where it began and where it ended is
known as closely as the tries have it, and costs nothing.
"""

from collections.abc import Sequence
from itertools import groupby

import msgspec

from harness import signature
from harness.bisect_state import State, Try
from harness.posterior import History
from harness.signature import Class


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The commits that `until` has and `after` has not, as `git log after..until` lists them."""

    after: str
    until: str
    commits: int


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that is not what was looked for. `class` is other or untestable.

    `began` holds the commit that brings it, `ended` the one that takes it away; null where no try
    before it, or after it, was without it.
    """

    outcome: str
    class_: str = msgspec.field(name="class")
    title: str
    commits: list[str]
    """Tried, the oldest first."""
    began: Span | None
    ended: Span | None


def of(state: State) -> list[Skipped]:
    """Return the findings in the order in which they begin; over a list they have no ranges."""
    history = state.history()
    skipped = [each for each in state.tries if each.told in (Class.OTHER, Class.UNTESTABLE)]
    groups = groupby(sorted(skipped, key=_key), _key)
    # The parts of a list have no order, so that none tells of another one.
    tries = () if state.question.over.is_subset else state.tries
    found = [_skipped(list(group), tries, history) for _, group in groups]
    return sorted(found, key=lambda each: history.place(each.commits[0]))


def _key(each: Try) -> tuple[str, str, str]:
    return each.told.value, each.outcome, signature.title_of(each.facts)


def _skipped(group: Sequence[Try], tries: Sequence[Try], history: History) -> Skipped:
    names = sorted({each.commit for each in group}, key=history.place)
    without = sorted(
        {each.commit for each in tries if _is_without(each, group[0])}, key=history.place
    )
    before = [name for name in without if history.has(names[0], brought_by=name)]
    after = [name for name in without if history.has(name, brought_by=names[-1])]
    return Skipped(
        outcome=group[0].outcome,
        class_=group[0].told.value,
        title=signature.title_of(group[0].facts),
        commits=names,
        began=_span(before[-1], names[0], history) if before else None,
        ended=_span(names[-1], after[0], history) if after else None,
    )


def _is_without(each: Try, skipped: Try) -> bool:
    """Whether a try tells that it does not have a finding.

    One that shows what is looked for may have ended there, and not come to the other one.
    """
    if skipped.told is Class.UNTESTABLE:
        return each.facts.is_built
    return each.told is Class.GOOD


def _span(after: str, until: str, history: History) -> Span:
    return Span(after=after, until=until, commits=history.count(after, until))
