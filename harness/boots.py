"""Takes the boots that a job asks for, makes them, some at a time; gives each from plan to verdict.

What the boots have in common is a `Subject`. Whether they pass is `verdict`'s to say.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from harness import boot
from harness.arch import Arch
from harness.errors import Outcome
from harness.job import (
    Allowance,
    Booted,
    BootPlan,
    BootSpec,
    Job,
    Kernel,
    NotBooted,
    Scenario,
    Transcript,
)
from harness.store import Store

# A guest is one busy CPU; more than a few at once gain little and take memory.
_WORKERS_MAX = 4

# After these the next boot would most likely go the same way, a minute of deadline each.
LAST_OUTCOMES = frozenset(
    {Outcome.HANG, Outcome.NO_OUTPUT, Outcome.RESET, Outcome.HOST_ERROR, Outcome.PANIC}
)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What all boots of a job share."""

    job: Job
    arch: Arch
    kernel: Kernel
    scenario: Scenario
    variant: str
    accel: str
    store: Store
    allowances: tuple[Allowance, ...] = ()


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Boots that were made, and those that were not."""

    done: tuple[Booted, ...]
    not_booted: tuple[NotBooted, ...] = ()

    @property
    def has_failed_qemu(self) -> bool:
        """Whether any boot ended for this machine's reasons."""
        return any(b.verdict.outcome is Outcome.HOST_ERROR for b in self.done)

    @property
    def summary(self) -> str:
        """In a few words: how the only boot ended, or how many were made."""
        if len(self.done) == 1 and not self.not_booted:
            return f"ended by {self.done[0].transcript.ended.value}"
        return f"{len(self.done)} of {len(self.done) + len(self.not_booted)} boots"


def words_of(job: Job, plan: BootPlan) -> str:
    """Return what a boot has on its command line that is the job's or the plan's own."""
    if plan.has_own_cmdline:
        return plan.cmdline
    # The job's words come last: after `--` they are init's.
    return " ".join(part for part in (plan.cmdline, job.cmdline.strip()) if part)


def cmdline_of(subject: Subject, plan: BootPlan, nonce: str) -> str:
    """Return a boot's whole kernel command line."""
    return boot.kernel_cmdline(
        subject.arch,
        words_of(subject.job, plan),
        nonce=nonce,
        flows=plan.flows,
        flavors=subject.job.flavors,
        has_disk=plan.disk is not None,
    )


def make(
    subject: Subject,
    asked: Sequence[tuple[BootPlan, BootSpec]],
    left_out: Sequence[NotBooted] = (),
    *,
    on_output: Callable[[bytes], None] | None = None,
) -> Batch:
    """Make the boots, in order, as many at a time as there are CPUs.

    `left_out` are boots that cannot be made. `on_output` gets the consoles; with it the boots are
    made one by one.

    Raises:
        HostError: there is no QEMU, or it cannot be started.
    """
    crew = Crew(subject, on_output)
    if len(asked) == 1:
        # Here and not in a thread: ^C ends it at once.
        return Batch(done=(crew.boot(*asked[0]),), not_booted=tuple(left_out))
    with ThreadPoolExecutor(crew.size) as pool:
        futures = [pool.submit(crew.boot_unless_over, plan, spec) for plan, spec in asked]
        try:
            results = [future.result() for future in futures]
        except BaseException:
            # Guests in other threads end within half a second of this.
            crew.interrupt.set()
            pool.shutdown(cancel_futures=True)
            raise
    pairs = list(zip(asked, results, strict=True))
    done = tuple(booted for _, booted in pairs if booted)
    last = next((b for b in done if b.verdict.outcome in LAST_OUTCOMES), done[-1])
    unmade = (not_booted_after(last, plan) for (plan, _), booted in pairs if not booted)
    return Batch(done=done, not_booted=(*left_out, *unmade))


def not_booted_after(last: Booted, plan: BootPlan) -> NotBooted:
    """Return that `plan` was not booted since `last` went as it did."""
    reason = f"boot {last.plan.name} ended in {last.verdict.outcome.value}"
    return NotBooted(flows=plan.flows, reason=reason)


class Crew:
    """Makes boots of one subject, in several threads. Setting `interrupt` ends those under way."""

    def __init__(self, subject: Subject, on_output: Callable[[bytes], None] | None) -> None:
        self.subject = subject
        self.on_output = on_output
        self.interrupt = threading.Event()
        self.is_over = threading.Event()

    @property
    def size(self) -> int:
        """How many boots at a time; with a console that is shown, one."""
        return 1 if self.on_output else min(len(os.sched_getaffinity(0)), _WORKERS_MAX)

    def boot_unless_over(self, plan: BootPlan, spec: BootSpec) -> Booted | None:
        """Boot, unless an earlier boot has ended in a way that leaves no hope."""
        if self.is_over.is_set() or self.interrupt.is_set():
            return None
        booted = self.boot(plan, spec)
        if booted.verdict.outcome in LAST_OUTCOMES:
            self.is_over.set()
        return booted

    def boot(self, plan: BootPlan, spec: BootSpec) -> Booted:
        """Boot and judge."""
        subject = self.subject
        transcript = boot.boot(
            spec,
            subject.arch,
            store=subject.store,
            accel=subject.accel,
            on_output=self.on_output,
            meanwhile=_get_ready_to_judge,
            stop=self.interrupt,
        )
        return _judge(subject, plan, spec, transcript)


def _judge(subject: Subject, plan: BootPlan, spec: BootSpec, transcript: Transcript) -> Booted:
    from harness import console, logwatch, verdict  # noqa: PLC0415 - see _get_ready_to_judge

    words = logwatch.words(subject.scenario)
    said = console.parse(transcript.console, spec.nonce, watch=words)
    if said.splats:
        from harness import symbols  # noqa: PLC0415 - a boot without a report has no use for it

        said = symbols.locate(said, subject.kernel.image)
    seen = logwatch.add(said, subject.scenario, plan)
    variant = plan.variant or subject.variant
    return Booted(
        plan=plan,
        variant=variant,
        spec=spec,
        transcript=transcript,
        console=seen,
        verdict=verdict.judge(
            words=words_of(subject.job, plan),
            full_cmdline=spec.cmdline,
            nonce=spec.nonce,
            kernel=subject.kernel,
            scenario=subject.scenario,
            plan=plan,
            variant=variant,
            transcript=transcript,
            console=seen,
            allowances=subject.allowances,
        ),
    )


def _get_ready_to_judge() -> None:
    """Import what a verdict needs while the guest boots: on an idle CPU it costs no time."""
    from harness import logwatch, splat_rules, verdict  # noqa: F401, PLC0415

    splat_rules.load()
