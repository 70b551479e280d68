"""Takes a gate, gives it as suites of cases, as formats for test results have them. Pure."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from harness import check_words, printable
from harness.check_result import (
    BootResult,
    CheckResult,
    Effect,
    Gate,
    PatchResult,
    Severity,
    WarningResult,
    Word,
)


class Status(StrEnum):
    """How a case went."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"
    """It could not be told; nobody should take it for a pass."""


_STATUSES = {
    Word.OK: Status.PASS,
    Word.REUSED: Status.PASS,
    Word.ALREADY_APPLIED: Status.PASS,
    Word.FAILED: Status.FAIL,
    Word.UNTESTED: Status.SKIP,
    Word.SKIPPED: Status.SKIP,
}
_VERDICTS = {
    Gate.MERGEABLE: Status.PASS,
    Gate.FINDING: Status.FAIL,
    Gate.UNTESTABLE: Status.ERROR,
    Gate.HOST_ERROR: Status.ERROR,
}


class Case(NamedTuple):
    """One thing that was tried. `why` is a sentence unless it passed, `lines` are its proof."""

    name: str
    status: Status
    why: str = ""
    lines: Sequence[str] = ()
    seconds: float = 0.0


class Suite(NamedTuple):
    """The gate, its base, its checks of sources, or a patch."""

    name: str
    title: str
    cases: list[Case]

    @property
    def whole(self) -> Case:
        """The worst of its cases, by the name of the suite: no pass if it was not built."""
        order = (Status.ERROR, Status.FAIL)
        bad = (case for status in order for case in self.cases if case.status is status)
        built = (each for each in self.cases if each.name == "build" and each.status is Status.SKIP)
        found = next(bad, None) or next(built, None)
        name = f"{self.name} {self.title}"
        return Case(name, found.status, found.why) if found else Case(name, Status.PASS)


def status_of(word: Word) -> Status:
    """Return what a word means."""
    return _STATUSES[word]


def suites(result: CheckResult) -> list[Suite]:
    """Return the verdict, the base, each patch and the checks of the sources, made harmless."""
    clean = printable.struct(result)
    verdict = clean.verdict
    told = Case(
        "verdict", _VERDICTS[verdict.outcome],
        why="" if verdict.outcome is Gate.MERGEABLE else verdict.reason,
        lines=[each for each in verdict.look_at if each != verdict.reason],
    )  # fmt: skip
    return [
        Suite("gate", clean.title, [told]),
        Suite("base", clean.base.name, list(_base(clean))),
        *(Suite(f"patch-{each.number}", each.subject, _patch(each)) for each in clean.patches),
        Suite("checks", "checks of the sources", list(_checks(clean))),
    ]


def _base(result: CheckResult) -> Iterator[Case]:
    base = result.base
    words = [("config", base.config), ("build", base.build)]
    for name, word in words if base.boots else [*words, ("boot", base.boot)]:
        yield Case(name, status_of(word), why=_why(word, base.reason))
    yield from map(_boot, base.boots)


def _patch(patch: PatchResult) -> list[Case]:
    words = [("apply", patch.apply), ("config", patch.config), ("build", patch.build)]
    found = [
        Case(name, status_of(word), why=_why(word, patch.reason),
             lines=patch.evidence if word is Word.FAILED else (),
             seconds=patch.seconds if name == "build" else 0.0)
        for name, word in (words if patch.boots else [*words, ("boot", patch.boot)])
    ]  # fmt: skip
    found += map(_boot, patch.boots)
    found.append(_warnings(patch))
    failed = [case.why for case in found if case.status is Status.FAIL]
    is_told = any(why in patch.reason or patch.reason in why for why in failed)
    if patch.reason and not is_told and patch.effect is not Effect.NOT_COMPILED:
        # It is no stage that went wrong: what the patch says of itself does not hold.
        found.append(Case("what-it-says", Status.FAIL, why=patch.reason))
    return found


def _warnings(patch: PatchResult) -> Case:
    bad = [each for each in patch.warnings_new if each.severity is Severity.ERROR]
    if bad:
        why = check_words.count(len(bad), "new warning")
        if patch.reason.startswith("a new warning"):
            why = patch.reason
        return Case("warnings", Status.FAIL, why=why, lines=[warning(each) for each in bad])
    if patch.build in {Word.FAILED, Word.SKIPPED, Word.UNTESTED}:
        return Case("warnings", Status.SKIP, why="it was not built")
    return Case("warnings", Status.PASS)


def warning(each: WarningResult) -> str:
    """Return a warning in a line."""
    flag = f" [{each.flag}]" if each.flag else ""
    return f"{check_words.place(each)}: {each.check}: {each.message}{flag}"


def _boot(boot: BootResult) -> Case:
    status = status_of(boot.word)
    why = "" if status is Status.PASS else check_words.came_to(boot)
    name = f"boot {boot.cmdline}" if boot.cmdline else "boot"
    return Case(name, status, why=why, lines=boot.evidence, seconds=boot.seconds)


def _why(word: Word, reason: str) -> str:
    status = status_of(word)
    if status is Status.PASS:
        return ""
    if word is Word.SKIPPED:
        return "it was not come to"
    return reason or word.value


def _checks(result: CheckResult) -> Iterator[Case]:
    for each in result.checks:
        status = Status.PASS if each.ran else Status.SKIP
        yield Case(each.name, status, why=each.why, seconds=each.seconds)
