"""The sides of a comparison: what a user calls a run becomes observations, and so do pipelines."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import diff, log, observations, observe, result, runs
from harness.errors import EXIT_CODES, EXIT_HOST, EXIT_UNTESTABLE, UsageError
from harness.observations import Observations
from harness.pipeline import Pipeline

_TWO = 2


def of_runs(names: Sequence[str]) -> diff.Comparison:
    """Compare two runs or files, as the user names them.

    Raises:
        UsageError: they are not two, one is not there, booted nothing, or they share no flow.
    """
    if len(names) != _TWO:
        raise UsageError(
            f"{len(names)} side given ({', '.join(names)}), expected two"
            if len(names) == 1
            else f"{len(names)} sides given, expected two",
            hint="`harness show --list` lists the runs",
        )
    before, after = (read(name) for name in names)
    if not set(before.ran) & set(after.ran):
        flows = [", ".join(side.ran) or "none" for side in (before, after)]
        raise UsageError(
            f"they have no flow in common: {names[0]} ran {flows[0]}; {names[1]} ran {flows[1]}",
            hint="run both with the same --flow",
        )
    return diff.compare(before, after, names=(names[0], names[1]))


def read(name: str) -> Observations:
    """Return the observations of a run (as `harness show` finds it) or of a JSON file.

    Raises:
        UsageError: there is none of that name, it is of another sort, or nothing was booted.
    """
    path = Path(name)
    if not path.is_file():
        return _of_run(runs.read(runs.find(name)), name)
    try:
        data = path.read_bytes()
        schema = msgspec.json.decode(data, type=_Schema).schema
        if schema == result.SCHEMA:
            return _of_run(result.decode(data), name)
        return observations.decode(data)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{path}: neither a run's result.json nor of `harness observe --json`: {error}"
        ) from error


class _Schema(msgspec.Struct, frozen=True):
    schema: str


def _of_run(run: result.RunResult, name: str) -> Observations:
    if EXIT_CODES[run.verdict.outcome] in (EXIT_UNTESTABLE, EXIT_HOST):
        raise UsageError(
            f"{name}: nothing was observed in this run: "
            f"{run.verdict.outcome.value}: {run.verdict.reason}",
            hint="name a run that booted",
        )
    return observations.of_run(run)


# --- jobs -----------------------------------------------------------------------------------


def align(pipelines: Sequence[Pipeline]) -> None:
    """Give all sides the scenario and the base that a series implies, where the user names none.

    Without its patches a series would else be held against another base, by another scenario.

    Raises:
        UsageError: the series do not agree on the scenario.
    """
    patched = [pipeline.series for pipeline in pipelines if pipeline.series.patches]
    scenarios = {series.scenario or "boot" for series in patched}
    is_open = all(pipeline.job.scenario is None for pipeline in pipelines)
    if is_open and len(scenarios) > 1:
        raise UsageError(
            f"the series have scenarios of their own: {', '.join(sorted(scenarios))}",
            hint="name the one that observes both with --scenario",
        )
    bases = next((series.bases for series in patched if series.bases), ())
    for pipeline in pipelines:
        job = pipeline.job
        if is_open and scenarios:
            job = msgspec.structs.replace(job, scenario=next(iter(scenarios)))
        if bases and job.base is None and job.tree is None:
            job = msgspec.structs.replace(job, base=bases[0])
        pipeline.job = job


def of_pipelines(
    pipelines: Sequence[Pipeline], names: Sequence[str], *, titles: Sequence[str] = ()
) -> list[diff.Comparison]:
    """Observe each side once, and compare each with the one before; one title a comparison.

    Raises:
        UsageError, SubjectError, HostError: as `observe.observations_of`.
    """
    for pipeline in pipelines:
        _ = pipeline.flows
    seen = []
    for pipeline, name in zip(pipelines, names, strict=True):
        log.say(f"- {name}")
        seen.append(observe.observations_of(pipeline))
    return [
        diff.compare(
            seen[number],
            seen[number + 1],
            names=(names[number], names[number + 1]),
            title=titles[number] if titles else "",
        )
        for number in range(len(seen) - 1)
    ]
