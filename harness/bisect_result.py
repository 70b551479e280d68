"""`harness.bisect/1`: what a bisect came to. docs/bisect.schema.json is made from these structs."""

import shlex
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from harness import __version__, bisect_history, command, document
from harness.bisect_state import Question, State, Try
from harness.errors import EXIT_UNTESTABLE
from harness.signature import Class

SCHEMA = "harness.bisect/1"
_SUSPECTS = 20


class Ending(StrEnum):
    """How a bisect ended."""

    FOUND = "found"
    ALIKE = "alike"
    """The ends do not differ."""
    RANGE = "range"
    """What is between could not be tested."""
    UNDER_WAY = "under-way"


EXIT_CODES = {Ending.FOUND: 0, Ending.ALIKE: 1, Ending.RANGE: EXIT_UNTESTABLE}


class FirstBad(msgspec.Struct, frozen=True, kw_only=True):
    """The commit. `stat` is git's diffstat; `parents` those that were tried."""

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
    """A bisect, whole. `first_bad` is null unless `ended` is found."""

    schema: str = SCHEMA
    id: str
    version: str
    ended: Ending
    looked_for: str
    """bad: the commit that brings it; fixed: the one that repairs it."""
    good: str
    bad: str
    ends: dict[str, str]
    """What both ends came to."""
    signature: str | None
    first_bad: FirstBad | None
    confidence: float
    suspects: list[Suspect]
    tries: list[TryResult]
    relevant: int
    total: int
    skipped: list[TryResult]
    seconds: float
    repro: str
    is_merge_base: bool

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        return EXIT_CODES.get(self.ended, EXIT_UNTESTABLE)


def of(state: State, *, is_over: bool) -> BisectResult:
    """Return what a bisect has come to."""
    subjects = {each.name: each.subject for each in state.between.commits}
    found = state.history().posterior(state.tallies()) if state.signature else {}
    likely = sorted(found.items(), key=lambda item: -item[1])
    sure = state.question.confidence if state.question.is_flaky else 1.0 - 1e-9
    is_found = bool(likely) and likely[0][1] >= sure
    ended = (
        Ending.FOUND if is_found
        else Ending.UNDER_WAY if not is_over
        else Ending.RANGE if state.signature else Ending.ALIKE
    )  # fmt: skip
    tries = [_try(each, subjects) for each in state.tries]
    return BisectResult(
        id=state.id,
        version=__version__,
        ended=ended,
        looked_for="fixed" if state.question.fixed else "bad",
        good=state.question.new if state.question.fixed else state.question.old,
        bad=state.question.old if state.question.fixed else state.question.new,
        ends={
            name: f"{facts.outcome.value}: {facts.reason}" if facts else ""
            for name, facts in (("good", state.good), ("bad", state.bad))
        },
        signature=state.signature.words if state.signature else None,
        first_bad=_first(state, likely[0][0], subjects) if is_found else None,
        confidence=round(likely[0][1], 4) if likely else 0.0,
        suspects=[
            Suspect(commit=name, subject=subjects.get(name, ""), likelihood=round(chance, 4))
            for name, chance in likely[:_SUSPECTS]
        ],
        tries=tries,
        relevant=len(state.mattering),
        total=len(state.between.commits),
        skipped=[each for each in tries if each.told in (Class.OTHER, Class.UNTESTABLE)],
        seconds=state.seconds,
        repro=repro_of(state.question),
        is_merge_base=state.between.is_merge_base,
    )


def _try(each: Try, subjects: Mapping[str, str]) -> TryResult:
    return TryResult(
        commit=each.commit, subject=subjects.get(each.commit, ""), outcome=each.outcome,
        class_=each.class_, told=each.told.value, reason=each.reason, seconds=each.seconds,
        run=each.run or None,
    )  # fmt: skip


def _first(state: State, name: str, subjects: Mapping[str, str]) -> FirstBad:
    clone = state.question.job.tree
    author, date, stat = bisect_history.stat(clone, name) if clone else ("", "", "")
    parents = next(each.parents for each in state.between.commits if each.name == name)
    said = {each.commit: each for each in state.tries}
    own = said.get(name)
    shown = own.evidence if own else state.bad.evidence if state.bad else ()
    parent = next((each for each in parents if each in said), parents[0] if parents else "")
    before = said.get(parent)
    return FirstBad(
        commit=name,
        subject=subjects[name],
        author=author,
        date=date,
        stat=stat,
        evidence=list(shown),
        parent=parent,
        parent_said=f"{before.outcome}: {before.reason}" if before else "not tried itself",
    )


def repro_of(question: Question) -> str:
    """Return the command line that begins the same bisect."""
    bad, good = (question.old, question.new) if question.fixed else (question.new, question.old)
    words = ["harness", "bisect", "--good", good, "--bad", bad]
    limit = question.threshold
    for option, value in (
        ("--find", "fixed" if question.fixed else None),
        ("--measure", limit and limit.name),
        ("--above", limit and limit.above),
        ("--below", limit and limit.below),
        ("--flaky", question.rounds if question.is_flaky else None),
        ("--confidence", question.confidence if question.is_flaky else None),
        ("--series", question.job.series if question.job.series != "none" else None),
    ):
        if value is not None:
            words += [option, str(value)]
    return shlex.join([*words, *command.words_of(question.job, (question.job.cmdline,))])


def encode(result: BisectResult) -> bytes:
    """Return bisect.json."""
    return document.encode(result)


def json_schema() -> bytes:
    """Return the JSON Schema of bisect.json."""
    return document.schema_of(BisectResult)
