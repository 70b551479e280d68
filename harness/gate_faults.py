"""Takes the steps of a gate, gives the patches that break what was sound, and what repairs it.

Pure. What the step before does as well is no fault of a patch.
"""

from harness import buildlog
from harness.check_result import Breakage
from harness.errors import Outcome
from harness.gate_step import Answers, Boot, Fault, Step


def breaks(answers: Answers) -> list[Breakage]:
    """Return the patches that break what was sound before them, and those that repair it."""
    steps = [step for _, step in sorted(answers.steps.items())]
    found = []
    for index, step in enumerate(steps):
        broken = _broken(step)
        before = steps[index - 1] if index else None
        if before is None or not broken or is_same_state(before, step):
            continue
        repaired = next((s.number for s in steps[index + 1 :] if not _is_as_bad(s, step)), None)
        found.append(
            Breakage(
                patch=step.number, stage=broken, reason=_why(step, before), repaired_by=repaired
            )
        )
    return found


def fault_words(fault: Fault) -> str:
    """Return what is wrong, without what the table says anyway: which patch, on which base."""
    if fault.stage == "build" and fault.outcome is Outcome.BUILD_FAILED and fault.evidence:
        return buildlog.headline(fault.evidence)
    first = f": {fault.evidence[0]}" if fault.stage == "config" and fault.evidence else ""
    return fault.message + first


def boot_words(boot: Boot) -> str:
    """Return what a boot that did not pass came to."""
    if boot.kept is None:
        return ""
    found = boot.kept.result.verdict
    with_line = f"with `{boot.cmdline}`: " if boot.cmdline else ""
    is_said = found.reason.startswith(found.outcome.value)
    return with_line + ("" if is_said else f"{found.outcome.value}: ") + found.reason


def had(before: Step | None, boot: Boot) -> bool:
    """Whether the step before came to the same with the same command line."""
    return before is not None and _signature(boot) in {_signature(b) for b in before.findings}


def is_same_state(before: Step, step: Step) -> bool:
    """Whether all that is wrong with a step was wrong before it."""
    if step.fault and before.fault:
        return step.fault.stage == before.fault.stage
    if step.fault or before.fault:
        return False
    return all(had(before, boot) for boot in step.findings)


def _broken(step: Step) -> str:
    """Return the stage that a step fails in; "" if it does not."""
    if step.fault:
        return step.fault.stage
    return "boot" if step.findings else ""


def _signature(boot: Boot) -> tuple[str, str, str]:
    found = boot.kept.result.verdict if boot.kept else None
    return (boot.cmdline, found.outcome.value, found.reason) if found else (boot.cmdline, "", "")


def _is_as_bad(step: Step, broken: Step) -> bool:
    """Whether a later step still has something of what `broken` brought."""
    if broken.fault:
        return bool(step.fault)
    if step.fault:
        return True
    return any(had(broken, boot) for boot in step.findings)


def _why(step: Step, before: Step) -> str:
    if step.fault:
        return fault_words(step.fault)
    new = [boot for boot in step.findings if not had(before, boot)]
    return boot_words(new[0])
