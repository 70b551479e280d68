"""Takes a boot and what was expected of it, gives one `Verdict`. Pure: no I/O, no clock.

It passes on positive proof only: whatever is missing, doubtful or late is a cause not to.
"""

from collections.abc import Sequence

import msgspec

from harness import aftermath, causes, logwatch
from harness.errors import Outcome
from harness.evidence import NOWHERE, Cause, and_more, quote, short
from harness.job import (
    Allowance,
    Booted,
    BootPlan,
    Check,
    Console,
    EndReason,
    Kernel,
    NotBooted,
    Observation,
    Scenario,
    Transcript,
    Verdict,
)
from harness.scenario_file import ANY

GUEST_STATUS_OK = aftermath.GUEST_STATUS_OK

# An oops and the panic that it ends in are one story; a log full of warnings need not be told.
_MAX_MORE = 3


def judge(
    *,
    words: str,
    full_cmdline: str,
    nonce: str,
    kernel: Kernel,
    scenario: Scenario,
    plan: BootPlan,
    variant: str,
    transcript: Transcript,
    console: Console,
    allowances: Sequence[Allowance] = (),
) -> Verdict:
    """Judge one boot.

    `words` is the part of `full_cmdline` that the job and the boot's plan give; `console` is that
    of `transcript`, parsed with `nonce`, with the host's own observations; `variant` is the column
    of expectations, chosen from the facts of the job; `allowances` are its known splats. Of several
    causes against a pass the first on the console counts; what no line shows (an expectation
    nobody observed, how the guest ended) comes after them.
    """
    expected = _checks(scenario, variant, plan, console.observations)
    tested = frozenset(plan.observe)
    # A panic that is the thing under test is an end like another, and the table judges it.
    has_panicked = logwatch.PANIC in tested and any(
        splat.outcome is Outcome.PANIC for splat in console.splats
    )
    if transcript.ended in (EndReason.QEMU_FAILED, EndReason.STARVED):
        found = [_not_run(transcript)]
    else:
        is_proof_due = not has_panicked and _needs_records(scenario, console)
        found = [
            *(() if has_panicked else _outside(console, transcript)),
            *causes.restarts(console),
            *causes.wrong_kernel(console, kernel),
            *causes.wrong_cmdline(console, full_cmdline),
            *causes.unknown_parameters(
                console, "" if logwatch.UNKNOWN_PARAMETERS in tested else words
            ),
            *causes.splats(console, allowances, transcript, is_panic_tested=has_panicked),
            *causes.faults(console),
            *causes.protocol(console, plan.flows),
            *(causes.unproved(console, nonce=nonce) if is_proof_due else ()),
            *causes.mismatches(console, expected),
            *causes.unobserved(expected),
            *causes.ktap(console, is_proof=scenario.needs_ktap),
            *causes.strangers(console),
            *causes.unread(console),
        ]
    return _conclude(console, found, checks=expected, variant=variant)


def combine(boots: Sequence[Booted], not_booted: Sequence[NotBooted] = ()) -> Verdict:
    """Return the verdict on a job of several boots: a pass if each is one, else by the first.

    What was not booted is named; it neither passes nor fails.
    """
    if len(boots) == 1 and not not_booted:
        return boots[0].verdict
    checks = tuple(check for boot in boots for check in boot.verdict.checks)
    unexpected = tuple(name for boot in boots for name in boot.verdict.unexpected)
    skipped = tuple(f"not booted: {each.name}: {each.reason}" for each in not_booted)
    bad = [boot for boot in boots if boot.verdict.outcome is not Outcome.PASS]
    if not bad:
        proof = _all_hold(checks) if checks else _proof([boot.console for boot in boots], (), None)
        judged = f", judged as {_columns(boots)}" if checks else ""
        without = f"; {len(skipped)} not booted" if skipped else ""
        reason = f"{proof} in {len(boots)} boots{judged}{without}"
        evidence = skipped
    else:
        first = bad[0].verdict
        reason = f"boot {bad[0].plan.name}: {first.reason}"
        more = tuple(f"then: boot {b.plan.name}: {short(b.verdict.reason)}" for b in bad[1:])
        evidence = (*first.evidence, *more, *skipped)
    return Verdict(
        outcome=bad[0].verdict.outcome if bad else Outcome.PASS,
        reason=reason,
        evidence=evidence,
        checks=checks,
        unexpected=unexpected,
    )


def with_expired(found: Verdict, allowances: Sequence[Allowance]) -> Verdict:
    """Return the verdict on a job whose known splats are these: none may have expired.

    Where something else keeps it from passing already, that is its reason still.
    """
    expired = [each for each in allowances if each.is_expired]
    if not expired:
        return found
    reasons = [
        f"{each.file}: the allowance for {each.title!r} expired on {each.expires}: "
        "renew or remove it"
        for each in expired
    ]
    if found.outcome is not Outcome.PASS:
        evidence = (*found.evidence, *(f"then: {reason}" for reason in reasons))
        return msgspec.structs.replace(found, evidence=evidence)
    first = and_more(reasons[0], len(reasons))
    told = (*reasons[1:], f"otherwise: pass: {found.reason}")
    return msgspec.structs.replace(found, outcome=Outcome.FAIL, reason=first, evidence=told)


def _columns(boots: Sequence[Booted]) -> str:
    return ", ".join(dict.fromkeys(boot.variant for boot in boots))


def _all_hold(checks: Sequence[Check]) -> str:
    findings = sum(check.is_finding for check in checks)
    broken = f", {findings} of them not what was promised," if findings else ""
    return f"all {len(checks)} expectations{broken} hold"


def judge_log(console: Console) -> Verdict:
    """Judge a stored log of which nothing else is known: no job, no expectations, no QEMU.

    It passes if the guest's records are whole from begin to end, or KTAP is whole and some of
    it passed; what was observed is then listed and judged by nobody. A log that stops after
    the begin record is a hang, one without any proof that userspace ran a failure, one without
    a line of the kernel's `no-output`.
    """
    has_records = bool(console.records)
    found = [
        *aftermath.silence(console),
        *causes.restarts(console),
        *causes.splats(console, ()),
        *causes.faults(console),
        *causes.protocol(console, None),
        *causes.ktap(console, is_proof=bool(console.ktap) and not has_records),
        *(
            causes.unproved(console, nonce=None, cut_short=Outcome.HANG)
            if has_records or not console.ktap
            else ()
        ),
        *causes.strangers(console),
        *causes.unread(console),
    ]
    return _conclude(console, found, checks=(), variant=None)


def _outside(console: Console, transcript: Transcript) -> list[Cause]:
    """How it ended. A reset or a panic that QEMU saw says more than a silent console."""
    is_proved = any(record.kind == "end" for record in console.records) or _is_ktap_whole(console)
    ending = list(aftermath.ending(console, transcript, is_proved=is_proved))
    if any(cause.outcome in (Outcome.RESET, Outcome.PANIC) for cause in ending):
        return ending
    return [*aftermath.silence(console, transcript.hang), *ending]


def _checks(
    scenario: Scenario, variant: str, plan: BootPlan, observations: Sequence[Observation]
) -> tuple[Check, ...]:
    """Hold every expectation of the flows that ran against what was observed.

    Of an observation made more than once the first that differs counts.
    """
    checks = []
    for expectation in scenario.expectations:
        expected = expectation.value_for(variant)
        if expected is None or expectation.flow not in (*plan.flows, ANY):
            continue
        promised = expectation.promise_for(variant)
        name = logwatch.name_in(expectation.observe, plan)
        seen = [o.value for o in observations if o.name == name]
        fits = [value for value in seen if value in (expected, promised) or expected == ANY]
        odd = [value for value in seen if value not in fits]
        checks.append(
            Check(
                name=name,
                expected=expected,
                observed=next(iter([*odd, *fits]), None),
                ok=bool(fits) and not odd,
                claim=expectation.claim,
                promised=promised,
            )
        )
    return tuple(checks)


def _needs_records(scenario: Scenario, console: Console) -> bool:
    """A user's own init may prove itself by KTAP alone; what is begun has to come to its end."""
    return bool(scenario.expectations or console.records) or not _is_ktap_whole(console)


def _is_ktap_whole(console: Console) -> bool:
    statuses = {result.status for result in console.ktap}
    return "pass" in statuses and "missing" not in statuses


def _conclude(
    console: Console,
    found: Sequence[Cause],
    *,
    checks: tuple[Check, ...],
    variant: str | None,
) -> Verdict:
    """Return the verdict: a pass if nothing is found against it, else by the first cause."""
    names = {check.name for check in checks}
    seen = dict.fromkeys(observation.name for observation in console.observations)
    if not found:
        outcome, reason = Outcome.PASS, _proof([console], checks, variant)
        evidence = tuple(quote(console, record.line) for record in console.records[-1:])
    else:
        # sorted() is stable: what no line shows stays in the order in which it was found.
        first, *others = sorted(found, key=lambda cause: cause.line)
        later = [cause for cause in others if NOWHERE > cause.line > first.line][:_MAX_MORE]
        more = tuple(f"then: line {cause.line}: {short(cause.reason)}" for cause in later)
        outcome, reason, evidence = first.outcome, first.reason, (*first.evidence, *more)
    return Verdict(
        outcome=outcome,
        reason=reason,
        evidence=evidence,
        checks=checks,
        unexpected=tuple(name for name in seen if name not in names),
    )


def _not_run(transcript: Transcript) -> Cause:
    if transcript.ended is EndReason.STARVED:
        return Cause(0, Outcome.HOST_ERROR, f"not a hang: {transcript.note}")
    status = transcript.status
    if status is None:
        how = "QEMU did not start"
    elif status < 0:
        how = f"QEMU was killed by signal {-status}"
    else:
        how = f"QEMU failed with exit status {status}"
    said = [line for line in transcript.qemu_stderr.splitlines() if line.strip()]
    why = short(said[-1].strip()) if said else transcript.note
    return Cause(0, Outcome.HOST_ERROR, f"{how}: {why}" if why else how, tuple(said[-5:]))


def _proof(consoles: Sequence[Console], checks: Sequence[Check], variant: str | None) -> str:
    """Return what a pass rests on, in one sentence."""
    tests = sum(result.status == "pass" for console in consoles for result in console.ktap)
    parts = []
    if checks:
        parts.append(f"{_all_hold(checks)} for variant {variant}")
    if tests:
        parts.append(f"{tests} KTAP test{'s' if tests > 1 else ''} passed")
    if not parts:
        parts.append("the guest's records are whole, from begin to end")
    return " and ".join(parts)
