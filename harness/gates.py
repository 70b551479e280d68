"""The gates on disk: one folder each, with `harness.check/1` and every report of it."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from harness import (
    __version__,
    check_result,
    gate_faults,
    gate_patch,
    gate_verdict,
    host,
    paths,
    runs,
)
from harness.check_result import BaseResult, BootResult, CheckResult, CheckRun, Measure
from harness.gate import Question
from harness.gate_step import Answers, Seen
from harness.intake import Taken
from harness.pipeline import Pipeline
from harness.result import RunResult

RESULT = "check.json"


def gates_dir() -> Path:
    """The folder of all gates."""
    return paths.state_dir() / "gates"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a result says besides the answers."""

    taken: Taken
    question: Question
    seen: Mapping[int, Seen]
    checks: Sequence[CheckRun]
    measures: Sequence[Measure]
    seconds: float
    repro: str


def result_of(answers: Answers, told: Told, *, pipeline: Pipeline, id_: str) -> CheckResult:
    """Return the result; paths in it are absolute until it is published."""
    job, whole = told.taken.job, answers.series
    found = gate_patch.patches(answers, told.seen)
    broken = gate_faults.breaks(answers)
    known = sum(seen.known for seen in told.seen.values())
    return CheckResult(
        id=id_,
        version=__version__,
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - told.seconds)),
        seconds=round(told.seconds, 1),
        verdict=gate_verdict.verdict(answers, found, broken),
        series=job.series,
        title=whole.title,
        message_id=whole.message_id,
        profile=job.profile,
        flavors=list(job.flavors),
        kconfig=list(job.kconfig),
        arch=job.arch,
        toolchain=job.toolchain,
        scenario=pipeline.scenario.name,
        cmdlines=list(told.question.cmdlines),
        base=_base(answers, told.taken, told.question, known),
        patches=found,
        breaks=broken,
        measures=list(told.measures),
        checks=list(told.checks),
        host=host.facts(pipeline),
        repro=told.repro,
    )


def _base(answers: Answers, taken: Taken, question: Question, known: int) -> BaseResult:
    step = answers.steps.get(0)
    config, build, boot = gate_patch.base_words(answers)
    tree = step.tree if step else None
    built = len(step.kernel.warnings) if step and step.kernel else 0
    fault = step.fault if step else None
    run = question.against if isinstance(question.against, RunResult) else None
    name = f"run {run.id}" if run else tree.base if tree else taken.job.base or ""
    return BaseResult(
        name=name,
        commit=tree.base_commit if tree else "",
        how="--against" if question.against else taken.how,
        config=config,
        build=build,
        boot=boot,
        reason=gate_faults.fault_words(fault) if fault else "",
        warnings=built + known,
        boots=gate_patch.boot_results(step, answers) if step else [],
    )


def publish(
    result: CheckResult,
    *,
    texts: Mapping[str, bytes],
    links: Mapping[str, Path],
    top: Path,
) -> Path:
    """Write the gate's folder and give its path; `result` should be `placed` there.

    Raises:
        HostError: it cannot be written.
    """
    whole = {**texts, RESULT: check_result.encode(result)}
    return runs.publish_folder("gate", result.id, texts=whole, links=links, top=top)


def placed(result: CheckResult, folder: Path) -> CheckResult:
    """Return the result with its paths as they are seen from `folder`."""

    def seen(path: str | None) -> str | None:
        return os.path.relpath(path, folder) if path else None

    def boots(found: Sequence[BootResult]) -> list[BootResult]:
        return [msgspec.structs.replace(boot, run=seen(boot.run)) for boot in found]

    replace = msgspec.structs.replace
    return replace(
        result,
        base=replace(result.base, boots=boots(result.base.boots)),
        patches=[
            replace(patch, boots=boots(patch.boots), build_log=seen(patch.build_log))
            for patch in result.patches
        ],
    )
