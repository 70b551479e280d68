"""`harness.bisect/1`: what a bisect came to. docs/bisect.schema.json is made from these structs."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from harness import __version__, bisect_history, bisect_over, bisect_skipped, document, subset
from harness.bisect_history import About
from harness.bisect_skipped import Skipped
from harness.bisect_state import Over, State, Try
from harness.errors import EXIT_UNTESTABLE
from harness.signature import Class

SCHEMA = "harness.bisect/1"


class Ending(StrEnum):
    """How a bisect ended."""

    FOUND = "found"
    ALIKE = "alike"
    """The ends do not differ."""
    RANGE = "range"
    """What is between could not be tested."""
    UNDER_WAY = "under-way"


EXIT_CODES = {Ending.FOUND: 0, Ending.ALIKE: 1, Ending.RANGE: EXIT_UNTESTABLE}


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A patch by its number, a word of a command line, a symbol with its value."""

    name: str
    subject: str


class FirstBad(msgspec.Struct, frozen=True, kw_only=True):
    """The commit, the kernel, or the one item that it takes; `stat` is git's diffstat of a commit.

    `parent` is what was tried before it, or without it.
    """

    commit: str
    subject: str
    author: str
    date: str
    stat: str
    evidence: list[str]
    """Of its own try, or where it was not tried, of the one that proves it."""
    parent: str
    parent_said: str
    """What the commit before it came to."""
    parent_evidence: list[str]
    people: list[str]
    """Who signed, reviewed or tested the commit, but for its author."""
    message_id: str | None
    """Of the mail that the commit was sent in, if its message says so."""


class TryResult(msgspec.Struct, frozen=True, kw_only=True):
    """A try: `class` is good, bad, other, untestable, or reused, and then `told` is good or bad."""

    commit: str
    subject: str
    outcome: str
    class_: str = msgspec.field(name="class")
    told: str
    reason: str
    seconds: float
    run: str | None


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that may be the one, and how likely that is."""

    commit: str
    subject: str
    likelihood: float


class BisectResult(msgspec.Struct, frozen=True, kw_only=True):
    """A bisect, whole. `first_bad` is null unless `ended` is found.

    Over a list `minimal` is the smallest part of it that shows the finding, and `first_bad` is null
    where that has several items. There a `commit` of `tries` is the numbers of the items tried.
    """

    schema: str = SCHEMA
    id: str
    version: str
    ended: Ending
    over: Over
    looked_for: str
    """bad: the commit that brings it; fixed: the one that repairs it."""
    good: str
    bad: str
    ends: dict[str, str]
    """What both ends came to."""
    signature: str | None
    first_bad: FirstBad | None
    minimal: list[Item]
    confidence: float
    suspects: list[Suspect]
    tries: list[TryResult]
    relevant: int
    total: int
    skipped: list[Skipped]
    proofs: int
    """How often the commit before it was booted again, in the end, and stayed good."""
    seconds: float
    repro: str
    is_merge_base: bool

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        return EXIT_CODES.get(self.ended, EXIT_UNTESTABLE)


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the answer: how likely each commit is it, or the part of the list."""

    likely: Sequence[tuple[str, float]] = ()
    part: subset.Part = ()
    is_found: bool = False


def _answer(state: State) -> _Answer:
    if state.signature is None:
        return _Answer()
    if state.question.over.is_subset:
        part = state.step().found
        return _Answer(part=part or (), is_found=part is not None)
    found = state.history().posterior(state.tallies())
    likely = sorted(found.items(), key=lambda item: -item[1])
    return _Answer(likely=likely, is_found=bool(likely) and likely[0][1] >= state.enough)


def of(state: State, *, is_over: bool) -> BisectResult:
    """Return what a bisect has come to."""
    answer = _answer(state)
    likely, is_found = answer.likely, answer.is_found
    ended = (
        Ending.FOUND if is_found
        else Ending.UNDER_WAY if not is_over
        else Ending.RANGE if state.signature else Ending.ALIKE
    )  # fmt: skip
    tries = [_try(each, state) for each in state.tries]
    ends = [bisect_over.end_of(state, is_old=which) for which in (True, False)]
    good, bad = reversed(ends) if state.question.fixed else ends
    return BisectResult(
        id=state.id,
        version=__version__,
        ended=ended,
        over=state.question.over,
        looked_for="fixed" if state.question.fixed else "bad",
        good=good,
        bad=bad,
        ends={
            name: f"{facts.outcome.value}: {facts.reason}" if facts else ""
            for name, facts in (("good", state.good), ("bad", state.bad))
        },
        signature=state.signature.words if state.signature else None,
        first_bad=_first(state, answer) if is_found else None,
        minimal=[
            Item(name=each.name, subject=each.subject)
            for each in (state.between.commits[index] for index in answer.part)
        ],
        confidence=1.0 if answer.part else round(likely[0][1], 4) if likely else 0.0,
        suspects=[
            Suspect(
                commit=name, subject=bisect_over.subject_of(state, name),
                likelihood=round(chance, 4),
            )
            for name, chance in likely
        ],
        tries=tries,
        relevant=len(state.mattering),
        total=len(state.between.commits),
        skipped=bisect_skipped.of(state),
        proofs=state.proofs,
        seconds=state.seconds,
        repro=bisect_over.repro(state),
        is_merge_base=state.between.is_merge_base,
    )  # fmt: skip


def _try(each: Try, state: State) -> TryResult:
    return TryResult(
        commit=each.commit, subject=bisect_over.subject_of(state, each.commit),
        outcome=each.outcome, class_=each.class_, told=each.told.value, reason=each.reason,
        seconds=each.seconds, run=each.run or None,
    )  # fmt: skip


def _first(state: State, answer: _Answer) -> FirstBad | None:
    about = About(author="", date="", people=(), message_id=None, stat="")
    with_it, without = (Class.GOOD, Class.BAD) if state.question.fixed else (Class.BAD, Class.GOOD)
    if answer.part:
        if len(answer.part) > 1:
            return None
        item, parent = state.between.commits[answer.part[0]], state.between.old
        own = _try_of(state, subset.name_of(answer.part), with_it)
        before = _try_of(state, parent, without)
    else:
        name = answer.likely[0][0]
        item = next(each for each in state.between.commits if each.name == name)
        # Not tried itself, it is what the new end has and no other commit brought.
        own = _try_of(state, name, with_it) or _try_of(state, state.between.new, with_it)
        tried = (p for p in item.parents if _try_of(state, p, without))
        parent = next(tried, next(iter(item.parents), ""))
        before = _try_of(state, _same_kernel(state, parent), without)
        if state.question.over is Over.COMMITS and state.question.job.tree:
            about = bisect_history.about(state.question.job.tree, name)
    return FirstBad(
        commit=item.name,
        subject=item.subject,
        author=about.author,
        date=about.date,
        stat=about.stat,
        people=list(about.people),
        message_id=about.message_id,
        evidence=list(own.evidence) if own else [],
        parent=parent,
        parent_said=_said(before, parent),
        parent_evidence=list(before.evidence) if before else [],
    )


def _try_of(state: State, name: str, told: Class) -> Try | None:
    """Return the last try of a commit that told this."""
    tries = [each for each in state.tries if each.commit == name and each.told is told]
    return tries[-1] if tries else None


def _same_kernel(state: State, name: str) -> str:
    """Return the commit that was tried in place of one that cannot matter: the same kernel."""
    said = {each.commit for each in state.tries}
    commits = {each.name: each for each in state.between.commits}
    while name not in said and name in commits and name not in state.mattering:
        # What cannot matter is no merge.
        name = next(iter(commits[name].parents), "")
    return name


def _said(each: Try | None, name: str) -> str:
    if each is None:
        return "not tried itself"
    same = f", tried as {each.commit[:12]}, the same kernel" if each.commit != name else ""
    return f"{each.outcome}: {each.reason}{same}"


def encode(result: BisectResult) -> bytes:
    """Return bisect.json."""
    return document.encode(result)


def json_schema() -> bytes:
    """Return the JSON Schema of bisect.json."""
    return document.schema_of(BisectResult)
