"""Takes a pipeline, gives what its kernel did, with nothing judged."""

import re
from datetime import date
from pathlib import Path

import msgspec

from harness import verdict
from harness.errors import HostError, Outcome
from harness.job import Allowance, Booted
from harness.observations import Observations, Subject, Unfinished, by_flow, listed
from harness.pipeline import Pipeline


def observations_of(pipeline: Pipeline) -> Observations:
    """Make the boots of the pipeline's job and return all that was observed in them.

    Raises:
        UsageError: the job asks for what cannot be.
        SubjectError: there is no kernel to boot.
        HostError: QEMU failed, or something else of this machine.
    """
    # What is wrong with the question is said before minutes are spent on it.
    _, _ = pipeline.flows, pipeline.accel
    batch = pipeline.batch
    seen: dict[str, dict[str, str]] = {}
    for booted in batch.done:
        pairs = [(each.name, each.value) for each in booted.console.observations]
        for flow, values in by_flow(pairs, booted.plan.flows).items():
            seen.setdefault(flow, {}).update(values)
    cut_short = [(booted.plan.flows, _why_unfinished(booted, pipeline)) for booted in batch.done]
    consoles = [booted.console for booted in batch.done]
    return Observations(
        subject=_subject(pipeline),
        ran=[flow for booted in batch.done for flow in booted.plan.flows],
        flows=listed(seen),
        reports=list(dict.fromkeys(s.title for console in consoles for s in console.splats)),
        unknown_parameters=list(dict.fromkeys(w for c in consoles for w in c.unknown_parameters)),
        unfinished=[Unfinished(flows=list(flows), reason=why) for flows, why in cut_short if why],
        not_booted=[
            Unfinished(flows=list(each.flows), reason=each.reason) for each in batch.not_booted
        ],
    )


def _why_unfinished(booted: Booted, pipeline: Pipeline) -> str:
    """Return why a boot has not told its whole story, by the verdict with nothing expected.

    A warning is a fact like another, and the story goes on after it.
    """
    console = booted.console
    warnings = tuple(
        Allowance(title=re.escape(splat.title), reason="a fact", expires=date.max, file=Path())
        for splat in console.splats
        if splat.outcome is Outcome.WARN
    )
    found = verdict.judge(
        # None of the job's own words: an unknown one is a fact too.
        words="",
        full_cmdline=booted.spec.cmdline,
        nonce=booted.spec.nonce,
        kernel=booted.spec.kernel,
        scenario=msgspec.structs.replace(pipeline.scenario, expectations=()),
        plan=booted.plan,
        variant=booted.variant,
        transcript=booted.transcript,
        console=console,
        allowances=warnings,
    )
    if found.outcome is Outcome.HOST_ERROR:
        raise HostError(found.reason)
    return "" if found.outcome is Outcome.PASS else found.reason


def _subject(pipeline: Pipeline) -> Subject:
    job = pipeline.job
    is_built = job.kernel is None
    return Subject(
        series=pipeline.series.name,
        patches=len(pipeline.series.patches),
        base=pipeline.tree.base if is_built else None,
        kernel=None if is_built else str(job.kernel),
        release=pipeline.kernel.release,
        profile=job.profile,
        flavors=list(job.flavors),
        kconfig=list(job.kconfig),
        arch=job.arch,
        scenario=pipeline.scenario.name,
        cmdline=job.cmdline,
    )
