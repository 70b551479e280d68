"""Takes what came of a job, gives the signature of its finding, and holds other results against it.

Pure. A bisect asks one question: is *this* finding there? Another crash half way is no answer to
it, and neither is a kernel that never came to where it would have shown.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from harness import buildlog, evidence
from harness.errors import Outcome, SubjectError
from harness.result import RunResult

# What of a message is of its boot or its build, and not of what is wrong.
_MOVES = re.compile(r":\d+:(?:\d+:)?|\b0x[0-9a-f]+|\bpid \d+|\b\d+(?:\.\d+)? s\b|\bline \d+")


class Kind(StrEnum):
    """By what a finding is known again."""

    REPORT = "report"
    """The outcome and the title of the kernel's report."""
    EXPECTATION = "expectation"
    """Observations that are not as expected, and what they are instead."""
    BUILD = "build"
    """The compiler's first error: file and message."""
    SYMBOL = "symbol"
    """The symbols that Kconfig drops."""
    MEASURE = "measure"
    """An observation beyond a threshold."""


class Class(StrEnum):
    """What a result says of the question."""

    BAD = "bad"
    """The signature is there."""
    GOOD = "good"
    """It came to where the signature would have shown, and it is not there."""
    OTHER = "other"
    """Another finding was in the way."""
    UNTESTABLE = "untestable"
    """There was no kernel to boot."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What of a result a signature is made of."""

    outcome: Outcome
    reason: str
    evidence: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    """Of the kernel's reports."""
    wrong: Mapping[str, str | None] = {}
    """Observations that are not as expected: name → what was observed."""
    observed: Mapping[str, str] = {}
    run: str = ""

    @property
    def is_built(self) -> bool:
        """Whether there was a kernel to boot."""
        return self.outcome not in (
            Outcome.APPLY_FAILED, Outcome.CONFIG_LOST, Outcome.BUILD_FAILED
        )  # fmt: skip


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """A number that an observation is bad above, or below; exactly one is given."""

    name: str
    above: float | None = None
    below: float | None = None


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """How a finding is known again. `words` is it for people."""

    kind: Kind
    words: str
    outcome: Outcome
    title: str = ""
    wrong: Mapping[str, str | None] = {}
    threshold: Threshold | None = None

    @property
    def is_of_a_boot(self) -> bool:
        """Whether it shows when a kernel is booted, and not before."""
        return self.kind not in (Kind.BUILD, Kind.SYMBOL)


def shown(signature: Signature, facts: Facts, console: str) -> tuple[str, ...]:
    """Return the lines that tell: of an observation where it was made, whatever it is."""
    names = tuple(signature.wrong) or ((signature.threshold.name,) if signature.threshold else ())
    lines = [
        f"line {number}: {evidence.short(line.strip())}"
        for number, line in enumerate(console.split("\n"), 1)
        if any(f" observe {name}=" in line for name in names)
    ]
    return tuple(lines) or facts.evidence


def facts_of(run: RunResult, folder: str = "") -> Facts:
    """Return the facts of a run."""
    return Facts(
        outcome=run.verdict.outcome,
        reason=run.verdict.reason,
        evidence=tuple(run.verdict.evidence),
        titles=tuple(dict.fromkeys(splat.title for splat in run.splats)),
        wrong={each.name: each.observed for each in run.expectations if not each.ok},
        observed={**run.observations, **_times(run)},
        run=folder,
    )


def _times(run: RunResult) -> dict[str, str]:
    return {"boot.seconds": f"{run.boot.seconds}"} if run.boot else {}


def facts_of_fault(error: SubjectError) -> Facts:
    """Return the facts of a job that had no kernel to boot."""
    return Facts(outcome=error.outcome, reason=error.message, evidence=error.evidence)


def of(bad: Facts, good: Facts, threshold: Threshold | None = None) -> Signature | None:
    """Return what the bad end has and the good one has not; None if that is nothing."""
    found = _of(bad, good, threshold)
    if found is None or classify(found, good, good) is not Class.GOOD:
        return None
    return found if classify(found, bad, good) is Class.BAD else None


def _of(bad: Facts, good: Facts, threshold: Threshold | None) -> Signature | None:
    if threshold:
        return _of_threshold(bad, threshold)
    if bad.outcome is Outcome.PASS:
        return None
    if not bad.is_built:
        return _of_unbuilt(bad)
    new = next((title for title in bad.titles if title not in good.titles), None)
    if new:
        return Signature(kind=Kind.REPORT, words=new, outcome=bad.outcome, title=new)
    wrong = {
        name: value
        for name, value in bad.wrong.items()
        if value is not None and (name not in good.wrong or good.wrong[name] != value)
    }
    if bad.outcome is Outcome.FAIL and wrong:
        words = ", ".join(f"{name} is {value}" for name, value in wrong.items())
        return Signature(kind=Kind.EXPECTATION, words=words, outcome=bad.outcome, wrong=wrong)
    words = f"{bad.outcome.value}: {bad.reason}"
    return Signature(kind=Kind.REPORT, words=words, outcome=bad.outcome, title=title_of(bad))


def _of_threshold(bad: Facts, threshold: Threshold) -> Signature:
    way, limit = (
        ("above", threshold.above) if threshold.below is None else ("below", threshold.below)
    )
    words = f"{threshold.name} {way} {limit:g}"
    return Signature(kind=Kind.MEASURE, words=words, outcome=bad.outcome, threshold=threshold)


def _of_unbuilt(bad: Facts) -> Signature:
    title = title_of(bad)
    kind = Kind.BUILD if bad.outcome is Outcome.BUILD_FAILED else Kind.SYMBOL
    return Signature(
        kind=kind, words=f"{bad.outcome.value}: {title}", outcome=bad.outcome, title=title
    )


def title_of(facts: Facts) -> str:
    """Return a finding without what moves: of a build the compiler's first error."""
    if facts.outcome is Outcome.BUILD_FAILED:
        return _plain(buildlog.headline(facts.evidence) if facts.evidence else facts.reason)
    if facts.outcome is Outcome.CONFIG_LOST:
        return _plain(facts.reason.partition(" did not survive")[0])
    return _plain(facts.reason)


def classify(signature: Signature, facts: Facts, good: Facts) -> Class:
    """Return what a result says of the signature; `good` is what the good end came to."""
    if not facts.is_built:
        is_same = facts.outcome is signature.outcome and title_of(facts) == signature.title
        return Class.BAD if is_same else Class.UNTESTABLE
    if not signature.is_of_a_boot:
        return Class.GOOD
    if signature.threshold:
        return by_threshold(signature.threshold, facts)
    if signature.kind is Kind.EXPECTATION:
        return _by_expectations(signature, facts, good)
    shows = signature.title in facts.titles or (
        facts.outcome is signature.outcome and title_of(facts) == signature.title
    )
    if shows:
        return Class.BAD
    return Class.GOOD if _is_sound(facts, good) else Class.OTHER


def by_threshold(threshold: Threshold, facts: Facts) -> Class:
    """Return what a result says of a threshold: other where it has no such number."""
    try:
        value = float(facts.observed[threshold.name])
    except (KeyError, ValueError):
        return Class.OTHER
    is_bad = (threshold.above is not None and value > threshold.above) or (
        threshold.below is not None and value < threshold.below
    )
    return Class.BAD if is_bad else Class.GOOD


def _by_expectations(signature: Signature, facts: Facts, good: Facts) -> Class:
    # What is expected may differ: without an option the same observation may be right.
    if any(facts.wrong.get(name) == value for name, value in signature.wrong.items()):
        return Class.BAD
    # It came as far as that, whatever else it came to.
    came = all(name in facts.observed and name not in facts.wrong for name in signature.wrong)
    return Class.GOOD if came or _is_sound(facts, good) else Class.OTHER


def _is_sound(facts: Facts, good: Facts) -> bool:
    """Whether nothing was in the way: it passed, or it has what the good end has as well."""
    # What ends a boot early hides what comes later, though the good end has it as well.
    came = facts.outcome in (Outcome.PASS, Outcome.FAIL, Outcome.WARN)
    same = facts.outcome is good.outcome and title_of(facts) == title_of(good)
    return came and (facts.outcome is Outcome.PASS or same)


def _plain(text: str) -> str:
    return _MOVES.sub(":", text).strip()
