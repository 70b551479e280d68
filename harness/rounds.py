"""Takes a `Pipeline` that is done, gives what its run keeps and tells of rounds."""

from harness.errors import Outcome
from harness.job import Booted
from harness.pipeline import Pipeline
from harness.result import RepeatResult


def kept(pipeline: Pipeline) -> list[tuple[int | None, Booted]]:
    """Return the boots that are to be looked at later, each with its round if there are any."""
    if pipeline.repetition:
        return [(r.number, b) for r in pipeline.repetition.kept for b in r.batch.done]
    return [(None, booted) for booted in pipeline.batch.done] if "batch" in vars(pipeline) else []


def deciding(pipeline: Pipeline) -> Booted | None:
    """Return the boot that the verdict is about: the first that is no pass, or the first."""
    booted = pipeline.batch.done if "batch" in vars(pipeline) else ()
    bad = (b for b in booted if b.verdict.outcome is not Outcome.PASS)
    return next(bad, booted[0] if booted else None)


def told(pipeline: Pipeline) -> RepeatResult | None:
    """Return what a result says of the rounds, None of a job that had but one."""
    made = pipeline.repetition
    if made is None:
        return None
    return RepeatResult(
        asked=made.asked,
        until_fail=pipeline.job.until_fail,
        done=made.done,
        passed=made.count(Outcome.PASS),
        host_errors=made.count(Outcome.HOST_ERROR),
        boots=made.boots,
        ways=list(made.ways),
        pass_rate=made.interval,
        seconds=made.seconds,
        decided_by=made.deciding.number,
        stopped=made.stopped,
        interrupted=made.is_interrupted,
    )
