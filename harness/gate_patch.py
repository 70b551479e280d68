"""Takes what came of the steps of a gate, gives what that says of each patch. Pure."""

import re
from collections.abc import Mapping, Sequence

from harness import diff, diffpaths, observations
from harness.check_result import Behaviour, BootResult, Effect, PatchResult, Severity, Word
from harness.gate_faults import boot_words, fault_words, had, is_same_state
from harness.gate_step import Answers, Boot, Seen, Step
from harness.job import Patch, PatchState

NOTHING = Seen()

# What a patch says of itself that an observation can gainsay.
_DOCUMENTATION = re.compile(r"^(?:docs?|documentation)\b[^:]*:", re.IGNORECASE)
_NO_CHANGE = re.compile(
    r"\bno (?:functional|behaviou?ral|intended|semantic) changes?\b|\bno change in behaviou?r\b",
    re.IGNORECASE,
)
_MANY = 3


def patches(answers: Answers, seen: Mapping[int, Seen]) -> list[PatchResult]:
    """Return each patch of the series with all that was found of it."""
    return [
        _patch(patch, answers, seen.get(patch.number, NOTHING)) for patch in answers.series.patches
    ]


def _patch(patch: Patch, answers: Answers, seen: Seen) -> PatchResult:
    step, before = answers.steps.get(patch.number), answers.steps.get(patch.number - 1)
    behaviour = _behaviour(before, step)
    effect = _effect(step, before, seen)
    words = _words(patch, step, effect, answers.made)
    return PatchResult(
        number=patch.number,
        subject=patch.subject,
        author=patch.author,
        commit=step.tree.patches[-1].commit if step and step.tree and step.tree.patches else "",
        files=list(diffpaths.touched(patch.diff)),
        diff=patch.diff.decode(errors="replace"),
        **words,
        effect=effect,
        reason=_reason(patch, step, before, seen, behaviour),
        evidence=list(step.fault.evidence) if step and step.fault else [],
        warnings_new=list(seen.new),
        warnings_fixed=list(seen.fixed),
        behaviour=behaviour,
        boots=boot_results(step, answers) if step else [],
        uncompiled=list(seen.uncompiled),
        changes=seen.changes,
        build_log=_log(step),
        seconds=step.seconds if step else 0.0,
    )


def _log(step: Step | None) -> str | None:
    if step and step.fault:
        return step.fault.log
    return str(step.kernel.log) if step and step.kernel and step.kernel.log else None


def _effect(step: Step | None, before: Step | None, seen: Seen) -> Effect:
    if step is None or before is None or not (step.image and before.image):
        return Effect.UNKNOWN
    if step.image != before.image:
        return Effect.CHANGES_KERNEL
    return Effect.NOT_COMPILED if seen.is_untested else Effect.NO_EFFECT


def _words(
    patch: Patch, step: Step | None, effect: Effect, made: frozenset[str]
) -> dict[str, Word]:
    """Return how apply, config, build and boot of a patch went."""
    words = dict.fromkeys(("apply", "config", "build", "boot"), Word.SKIPPED)
    if step is None:
        return words
    if step.fault:
        stages = list(words)
        at = stages.index(step.fault.stage)
        words.update(dict.fromkeys(stages[:at], Word.OK))
        words[step.fault.stage] = Word.FAILED
    else:
        words["apply"] = words["config"] = Word.OK
        words["build"] = Word.REUSED if step.is_kept else Word.OK
        words["boot"] = _boot_word(step, made)
    if effect is Effect.NO_EFFECT and words["boot"] is Word.OK:
        words["boot"] = Word.REUSED
    if effect is Effect.NOT_COMPILED:
        words["build"] = words["boot"] = Word.UNTESTED
    if _is_already_applied(patch, step):
        words["apply"] = Word.ALREADY_APPLIED
    return words


def _is_already_applied(patch: Patch, step: Step) -> bool:
    applied = step.tree.patches if step.tree else ()
    return any(
        each.number == patch.number and each.state is PatchState.ALREADY_APPLIED for each in applied
    )


def _boot_word(step: Step, made: frozenset[str]) -> Word:
    if step.findings:
        return Word.FAILED
    booted = {boot.kept.result.id for boot in step.boots if boot.kept}
    if not booted:
        return Word.SKIPPED
    return Word.OK if booted & made else Word.REUSED


def _boot(boot: Boot, made: frozenset[str]) -> BootResult:
    kept = boot.kept
    if kept is None:
        return BootResult(
            cmdline=boot.cmdline, word=Word.SKIPPED, outcome="", variant=boot.variant, seconds=0.0,
            reason=f"{boot.variant} is promised from a later patch on", evidence=[], run=None,
        )  # fmt: skip
    found = kept.result
    good = Word.OK if found.id in made else Word.REUSED
    return BootResult(
        cmdline=boot.cmdline,
        word=good if boot.is_pass else Word.FAILED,
        outcome=found.verdict.outcome.value,
        reason=found.verdict.reason,
        variant=boot.variant,
        seconds=found.boot.seconds if found.boot else 0.0,
        evidence=found.verdict.evidence,
        run=str(kept.folder) if kept.folder else None,
    )


def boot_results(step: Step, answers: Answers) -> list[BootResult]:
    """Return the boots of a step."""
    return [_boot(boot, answers.made) for boot in step.boots]


def base_words(answers: Answers) -> tuple[Word, Word, Word]:
    """Return how config, build and boot of the base went."""
    step = answers.steps.get(0)
    if step is None or not (step.fault or step.kernel):
        return Word.SKIPPED, Word.SKIPPED, _boot_word(step, answers.made) if step else Word.SKIPPED
    if step.fault:
        is_config = step.fault.stage == "config"
        return (
            Word.FAILED if is_config else Word.OK,
            Word.SKIPPED if is_config else Word.FAILED,
            Word.SKIPPED,
        )
    return Word.OK, Word.REUSED if step.is_kept else Word.OK, _boot_word(step, answers.made)


def _behaviour(before: Step | None, step: Step | None) -> list[Behaviour]:
    """Return what the kernel does otherwise than the one before it, by command line."""
    rows: list[Behaviour] = []
    for boot in step.boots if step else ():
        old = before.boot_of(boot.cmdline) if before else None
        if not (boot.kept and old and old.kept) or old.kept.result.id == boot.kept.result.id:
            continue
        sides = [observations.of_run(kept.result) for kept in (old.kept, boot.kept)]
        found = diff.compare(sides[0], sides[1], names=("before", "after"))
        rows += [
            Behaviour(
                cmdline=boot.cmdline, flow=r.flow, name=r.name, before=r.before, after=r.after
            )
            for r in found.rows
        ]
    return rows


def _reason(
    patch: Patch, step: Step | None, before: Step | None, seen: Seen, behaviour: list[Behaviour]
) -> str:
    """Return the first thing that is wrong with a patch, in a sentence."""
    if step is None:
        return ""
    if step.fault:
        return "" if before and is_same_state(before, step) else fault_words(step.fault)
    new = [boot for boot in step.findings if not had(before, boot)]
    if new:
        return boot_words(new[0])
    is_changed = before is not None and step.image != before.image != ""
    return _broken_claim(patch, behaviour, is_changed=is_changed) or _of_sources(seen)


def _broken_claim(patch: Patch, behaviour: Sequence[Behaviour], *, is_changed: bool) -> str:
    claimed = _claim(patch)
    if claimed and behaviour:
        return f"it says {claimed}, and changes what the kernel does: {rows_words(behaviour)}"
    if claimed and is_changed and _is_documentation(patch):
        return f"it says {claimed}, and changes the kernel"
    return ""


def _of_sources(seen: Seen) -> str:
    bad = [each for each in seen.new if each.severity is Severity.ERROR]
    if bad:
        first = bad[0]
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        where = f"{first.file}:{first.line}" if first.line else first.file or "the message"
        return f"a new warning ({first.check}): {where}: {first.message}{more}"
    if seen.is_untested:
        return f"untested by this config: {_uncompiled(seen)}"
    return ""


def _uncompiled(seen: Seen) -> str:
    words = []
    for each in seen.uncompiled[:_MANY]:
        by = f" ({', '.join(each.symbols)} would)" if each.symbols else ""
        words.append(f"{each.file} is not compiled{by}")
    rest = len(seen.uncompiled) - _MANY
    return "; ".join(words) + (f"; and {rest} more" if rest > 0 else "")


def rows_words(behaviour: Sequence[Behaviour]) -> str:
    """Return the first observations that differ, in a line."""
    words = [f"{r.name} was {_value(r.before)}, is {_value(r.after)}" for r in behaviour[:_MANY]]
    rest = len(behaviour) - _MANY
    return "; ".join(words) + (f"; and {rest} more" if rest > 0 else "")


def _value(value: str | None) -> str:
    return "not observed" if value is None else value


def _is_documentation(patch: Patch) -> bool:
    return bool(_DOCUMENTATION.match(patch.subject))


def _claim(patch: Patch) -> str:
    """Return what a patch says of itself, if it says that nothing changes."""
    if _is_documentation(patch):
        return f"that it is documentation ({patch.subject})"
    said = _NO_CHANGE.search(patch.message)
    return f'"{said[0]}"' if said else ""
