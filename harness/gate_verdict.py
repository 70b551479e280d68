"""Takes what was found of each patch, gives the verdict on the series. Pure."""

from collections.abc import Sequence

from harness.check_result import Breakage, Effect, Gate, PatchResult, Verdict
from harness.errors import HostError
from harness.gate_faults import boot_words, fault_words, had
from harness.gate_patch import rows_words
from harness.gate_step import Answers

_MANY = 3
_STAGE_WORDS = {
    "config": "loses what the config asks for",
    "build": "does not build",
    "boot": "does not pass",
}


def verdict(answers: Answers, found: Sequence[PatchResult], broken: Sequence[Breakage]) -> Verdict:
    """Return what the whole comes to; the first of these that holds decides it."""
    if answers.fault:
        return _of_host(answers.fault)
    return (
        _untestable(answers)
        or _broken_verdict(answers, broken)
        or _findings(found)
        or _untested(found)
        or _mergeable(answers, found)
    )


def _of_host(fault: HostError) -> Verdict:
    return Verdict(
        outcome=Gate.HOST_ERROR,
        reason=fault.message,
        look_at=["the same command goes on where this one ended"],
        hint=fault.hint,
    )


def _untestable(answers: Answers) -> Verdict | None:
    """The series does not apply, or its base is itself not sound."""
    base = answers.steps.get(0)
    for step in answers.steps.values():
        if step.fault and step.fault.stage == "apply":
            return Verdict(
                outcome=Gate.UNTESTABLE, reason=step.fault.message, look_at=[],
                hint=step.fault.hint,
            )  # fmt: skip
    if base and base.fault:
        reason = f"the base itself cannot be tested: {fault_words(base.fault)}"
        return Verdict(outcome=Gate.UNTESTABLE, reason=reason, look_at=[], hint=base.fault.hint)
    tip = answers.steps.get(len(answers.series.patches))
    if base and tip and tip.findings and all(had(base, boot) for boot in tip.findings):
        words = boot_words(tip.findings[0])
        reason = f"the base does not pass either, so nothing is said of the series: {words}"
        return Verdict(outcome=Gate.UNTESTABLE, reason=reason, look_at=[])
    return None


def _broken_verdict(answers: Answers, broken: Sequence[Breakage]) -> Verdict | None:
    if not broken:
        return None
    sentences = [_sentence(each, answers) for each in broken]
    # What the tip still has is worse than what is repaired on the way.
    sentences.sort(key=lambda pair: pair[0])
    return Verdict(
        outcome=Gate.FINDING, reason=sentences[0][1], look_at=[text for _, text in sentences]
    )


def _sentence(each: Breakage, answers: Answers) -> tuple[bool, str]:
    subject = answers.series.patches[each.patch - 1].subject
    repaired = f"; patch {each.repaired_by} repairs it" if each.repaired_by else ""
    what = _STAGE_WORDS[each.stage]
    return bool(repaired), f"patch {each.patch} ({subject}) {what}: {each.reason}{repaired}"


def _findings(found: Sequence[PatchResult]) -> Verdict | None:
    bad = [p for p in found if p.reason and p.effect is not Effect.NOT_COMPILED]
    if not bad:
        return None
    sentences = [f"patch {p.number} ({p.subject}): {p.reason}" for p in bad]
    return Verdict(outcome=Gate.FINDING, reason=sentences[0], look_at=sentences)


def _untested(found: Sequence[PatchResult]) -> Verdict | None:
    bad = [p for p in found if p.effect is Effect.NOT_COMPILED]
    if not bad:
        return None
    sentences = [f"patch {p.number} ({p.subject}) is {p.reason}" for p in bad]
    symbols = sorted({symbol for p in bad for each in p.uncompiled for symbol in each.symbols})
    hint = " ".join(f"--kconfig {symbol}=y" for symbol in symbols[:_MANY])
    return Verdict(
        outcome=Gate.UNTESTABLE,
        reason=sentences[0],
        look_at=sentences,
        hint=f"add {hint}" if hint else None,
    )


def _mergeable(answers: Answers, found: Sequence[PatchResult]) -> Verdict:
    count = len(found)
    what = (
        f"all {count} patches apply, build and boot"
        if count > 1
        else "it applies, builds and boots"
    )
    base = answers.steps[0].tree
    name = f" on {base.base}" if base else ""
    fixed = sum(len(p.warnings_fixed) for p in found)
    notes = sum(len(p.warnings_new) for p in found)
    new = f"no new warning that counts ({notes} shown)" if notes else "no new warning"
    more = f", {fixed} warnings fewer" if fixed else ""
    shown = [f"patch {p.number}: {rows_words(p.behaviour)}" for p in found if p.behaviour]
    return Verdict(outcome=Gate.MERGEABLE, reason=f"{what}{name}, {new}{more}", look_at=shown)
