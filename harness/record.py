"""Takes a finished `Pipeline` and its verdict, gives the run: a `RunResult` and its folder."""

import time
from pathlib import Path

import msgspec

from harness import (
    __version__,
    allow,
    boot,
    bootresult,
    command,
    gitmend,
    host,
    result,
    rounds,
    runs,
)
from harness.errors import HostError, Outcome, SubjectError
from harness.job import Booted, Check, Verdict
from harness.pipeline import Pipeline


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run: its result, and the folder that holds all of it."""

    result: result.RunResult
    folder: Path


def run_job(pipeline: Pipeline, *, out: Path | None = None) -> Run:
    """Run a job to its end and publish what came of it, whatever that is.

    `out` is the folder to put the run's folder into, in place of the usual one.

    Raises:
        UsageError: the job asks for what cannot be.
        HostError: the run cannot be written.
    """
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    verdict, hint, build_log = _verdict_of(pipeline)
    return _publish(pipeline, verdict, hint=hint, build_log=build_log, started=started, out=out)


def _verdict_of(pipeline: Pipeline) -> tuple[Verdict, str | None, str | None]:
    """Run a job to its verdict: (verdict, hint, path of a build log).

    Faults of subject and host become verdicts here and nowhere else; the user's go on.
    """
    try:
        return pipeline.verdict, None, None
    except SubjectError as error:
        found = Verdict(outcome=error.outcome, reason=error.message, evidence=error.evidence)
        return found, error.hint, error.log_path
    except (HostError, OSError, MemoryError) as error:
        fault = gitmend.settle(error, pipeline.store)
        return Verdict(outcome=Outcome.HOST_ERROR, reason=fault.message), fault.hint, None


def _publish(
    pipeline: Pipeline,
    verdict: Verdict,
    *,
    hint: str | None,
    build_log: str | None,
    started: str,
    out: Path | None,
) -> Run:
    booted = pipeline.batch.done if "batch" in vars(pipeline) else ()
    deciding = rounds.deciding(pipeline)
    files = _files(pipeline, build_log)
    found = result.RunResult(
        id=runs.new_id(pipeline.nonce),
        version=__version__,
        started=started,
        verdict=result.VerdictResult(
            outcome=verdict.outcome,
            reason=verdict.reason,
            evidence=list(verdict.evidence),
            hint=hint,
        ),
        job=_job(pipeline),
        stages=[
            result.StageResult(
                name=s.name, key=s.key, cached=s.cached, why=s.why, seconds=s.seconds
            )
            for s in pipeline.stages.done
        ],
        observations={o.name: o.value for b in booted for o in b.console.observations},
        expectations=[_expectation(check) for check in verdict.checks],
        unexpected=list(verdict.unexpected),
        splats=[result.of_splat(b.plan.name, s) for b in booted for s in b.console.splats],
        boot=bootresult.of(deciding) if deciding else None,
        not_booted=_not_booted(pipeline) if booted else [],
        boots=_summaries(pipeline, files),
        repeat=rounds.told(pipeline),
        allowances=_allowances(pipeline),
        host=host.facts(pipeline),
        repro=command.of(pipeline.job),
        files=files.names,
    )
    folder = runs.publish(found, texts=files.texts, links=files.links, top=out)
    return Run(result=found, folder=folder)


class _Files:
    """What goes into the run's folder: `names` says which file is what.

    The files of a single boot are at the top. Those of several are in a folder each, and so are
    rounds; `names` has those of the boot that decided.
    """

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.texts: dict[str, bytes] = {}
        self.links: dict[str, Path] = {}
        self.of_boots: dict[tuple[int | None, str], dict[str, str]] = {}

    def link(self, what: str, name: str, source: Path | None) -> None:
        if source is not None:
            self.links[name], self.names[what] = source, name

    def add_boot(self, booted: Booted, folder: str, number: int | None) -> None:
        """Keep what is to be known of a boot, and the script that repeats it."""
        transcript, spec = booted.transcript, booted.spec
        own: dict[str, str] = {}
        script_names = {str(spec.kernel.image): "../" * folder.count("/") + spec.kernel.image.name}

        def keep(what: str, name: str, data: bytes) -> None:
            self.texts[folder + name], own[what] = data, folder + name

        def link(what: str, name: str, source: Path) -> None:
            self.links[folder + name], own[what] = source, folder + name
            script_names[str(source)] = name

        keep("console", "console.log", transcript.console)
        keep("qmp", "qmp.jsonl", bootresult.qmp_lines(transcript))
        if spec.initramfs:
            link("initramfs", "initramfs.cpio", spec.initramfs.path)
        if spec.disk:
            link("disk", "disk.img", spec.disk)
        script = boot.repro_script(transcript.argv, names=script_names)
        keep("repro", "repro.sh", script.encode())
        if transcript.hang:
            keep("registers", "registers.txt", transcript.hang.registers.encode())
            keep("hang", "hang.log", transcript.hang.answer)
        self.of_boots[number, booted.plan.name] = own


def _files(pipeline: Pipeline, build_log: str | None) -> _Files:
    files = _Files()
    have = vars(pipeline)
    if "kernel" in have:
        kernel = pipeline.kernel
        files.link("kernel", kernel.image.name, kernel.image)
        files.link("config", "config", kernel.config)
        files.link("build_log", "build.log", kernel.log)
    elif build_log:
        files.link("build_log", "build.log", Path(build_log))
    kept = rounds.kept(pipeline)
    is_single = len({booted.plan.name for _, booted in kept}) == 1
    for number, booted in kept:
        own = "" if is_single else f"boots/{booted.plan.name}/"
        files.add_boot(booted, own if number is None else f"rounds/{number}/{own}", number)
    deciding = rounds.deciding(pipeline)
    if deciding:
        whole = pipeline.repetition
        number = whole.deciding.number if whole else None
        files.names |= files.of_boots[number, deciding.plan.name]
    return files


def _job(pipeline: Pipeline) -> result.JobResult:
    job, have = pipeline.job, vars(pipeline)
    tree = pipeline.tree if "tree" in have else None
    deciding = rounds.deciding(pipeline)
    return result.JobResult(
        series=pipeline.series.name if "series" in have else job.series,
        patches=[
            result.PatchResult(
                number=p.number, subject=p.subject, state=p.state.value, commit=p.commit
            )
            for p in (tree.patches if tree else ())
        ],
        base=tree.base if tree else job.base,
        source=tree.source if tree else None,
        tree_hash=tree.tree_hash if tree else None,
        kernel=str(job.kernel) if job.kernel else None,
        release=pipeline.kernel.release if "kernel" in have else None,
        profile=job.profile,
        flavors=list(job.flavors),
        kconfig=list(job.kconfig),
        arch=job.arch,
        scenario=pipeline.scenario.name if "scenario" in have else job.scenario or "",
        flows=list(pipeline.flows) if "flows" in have else list(job.flows),
        kselftests=list(job.kselftests),
        cmdline=job.cmdline,
        variant=pipeline.variant if "variant" in have else job.expect or "",
        memory_mib=job.memory_mib,
        compress=job.compress,
        deadline_s=deciding.spec.deadline_s if deciding else job.timeout_s or 0.0,
    )


def _expectation(check: Check) -> result.ExpectationResult:
    return result.ExpectationResult(
        name=check.name,
        expected=check.expected,
        observed=check.observed,
        ok=check.ok,
        claim=check.claim,
        promised=check.promised,
        finding=check.is_finding,
    )


def _not_booted(pipeline: Pipeline) -> list[result.NotBootedResult]:
    return [
        result.NotBootedResult(name=each.name, reason=each.reason)
        for each in pipeline.batch.not_booted
    ]


def _allowances(pipeline: Pipeline) -> list[result.AllowanceResult]:
    """Return what was known, if there were boots to hold it against."""
    if "batch" not in vars(pipeline):
        return []
    known = pipeline.allowances
    whole = pipeline.repetition
    splats = [splat for booted in pipeline.batch.done for splat in booted.console.splats]
    uses = whole.allowance_uses if whole else allow.uses(known, splats)
    return [
        result.AllowanceResult(
            title=each.title,
            kind=each.kind,
            reason=each.reason,
            expires=each.expires.isoformat(),
            expired=each.is_expired,
            file=str(each.file),
            splats=count,
        )
        for each, count in zip(known, uses, strict=True)
    ]


def _summaries(pipeline: Pipeline, files: _Files) -> list[result.BootSummary]:
    return [
        _summary(booted, files.of_boots[number, booted.plan.name], number)
        for number, booted in rounds.kept(pipeline)
    ]


def _summary(booted: Booted, files: dict[str, str], number: int | None) -> result.BootSummary:
    return result.BootSummary(
        name=booted.plan.name,
        round=number,
        flows=list(booted.plan.flows),
        cmdline=booted.spec.cmdline,
        variant=booted.variant,
        outcome=booted.verdict.outcome,
        reason=booted.verdict.reason,
        ended=booted.transcript.ended,
        seconds=round(booted.transcript.seconds, 3),
        files=files,
    )
