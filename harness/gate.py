"""Takes a series and how to test it, gives what came of its base and of each of its patches.

The tip comes first, since it is what would be merged; then the base, which everything is held
against; then the patches between, from the first on, so that each kernel is built from the one
before it. What an earlier gate has found on equal inputs is not made again.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from harness import bootcache, gitmend, image, imageid, log, selection, series
from harness.errors import HostError, SubjectError
from harness.gate_step import Answers, Boot, Fault, Step
from harness.job import Job
from harness.pipeline import Pipeline
from harness.result import RunResult
from harness.settings import Settings
from harness.store import Store

_TITLE = 60


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: the job, whose series can be read again, and the command lines.

    `against` is what the series is held against in place of its base: a run, or another base.
    `out` is where runs go, in place of the usual folder; `is_fresh` boots in any case.
    """

    job: Job
    cmdlines: tuple[str, ...]
    against: str | RunResult | None = None
    out: Path | None = None
    is_fresh: bool = False


def order(count: int) -> list[int]:
    """Return the numbers of the steps as they are taken: the tip, the base, those between."""
    return [count, 0, *range(1, count)]


class Gate:
    """One gate under way; `on_step` is told of each step as soon as it is made."""

    def __init__(
        self,
        question: Question,
        *,
        settings: Settings,
        store: Store,
        on_step: Callable[[Step, Pipeline], None] | None = None,
    ) -> None:
        self.question = question
        self._settings = settings
        self._store = store
        self._on_step = on_step
        self.whole = series.load(
            question.job.series, search=settings.patches, tree=question.job.tree
        )

    def run(self) -> Answers:
        """Take all steps.

        Raises:
            UsageError: the question asks for what cannot be.
        """
        steps: dict[int, Step] = {}
        fault = None
        try:
            for number in self._order():
                steps[number] = self._step(number)
        except (HostError, OSError, MemoryError) as error:
            fault = gitmend.settle(error, self._store)
        return Answers(series=self.whole, steps=steps, fault=fault)

    def _order(self) -> Iterable[int]:
        """Yield the steps; after a patch that does not apply there is none."""
        count = len(self.whole.patches)
        applied = self._applied()
        if applied < count:
            yield applied + 1
        if applied:
            yield from order(applied)
        else:
            yield 0

    def _applied(self) -> int:
        """Return how many patches apply, from the first on."""
        count = len(self.whole.patches)
        if self._applies(count):
            return count
        return next((n - 1 for n in range(1, count) if not self._applies(n)), count - 1)

    def _applies(self, number: int) -> bool:
        try:
            _ = self.pipeline(number).tree
        except SubjectError:
            return False
        return True

    def pipeline(self, number: int) -> Pipeline:
        """Return the pipeline of the first `number` patches, which has done nothing yet."""
        name = f"{self.question.job.series}:{number}"
        against = self.question.against
        base = against if not number and isinstance(against, str) else self.question.job.base
        job = msgspec.structs.replace(
            self.question.job, series=name, base=base, cmdline=self.question.cmdlines[0]
        )
        pipeline = Pipeline(job, settings=self._settings, store=self._store)
        vars(pipeline)["series"] = series.cut(self.whole, number, name=name)
        return pipeline

    def _step(self, number: int) -> Step:
        if not number and isinstance(self.question.against, RunResult):
            return _step_of(self.question.against)
        log.say(f"- {self._title(number)}")
        started = time.monotonic()
        pipeline = self.pipeline(number)
        step = self._build(pipeline, number)
        if step.kernel:
            # Once for all command lines.
            _, _ = pipeline.initramfs, pipeline.accel
            boots = tuple(self._boot(pipeline, line) for line in self.question.cmdlines)
            step = msgspec.structs.replace(step, boots=boots)
        if self._on_step:
            self._on_step(step, pipeline)
        return msgspec.structs.replace(step, seconds=round(time.monotonic() - started, 2))

    def _title(self, number: int) -> str:
        if not number:
            return "the base"
        patch = self.whole.patches[number - 1]
        tip = "the tip, " if number == len(self.whole.patches) else ""
        return f"{tip}patch {number}: {patch.subject[:_TITLE]}"

    def _build(self, pipeline: Pipeline, number: int) -> Step:
        stage = "apply"
        try:
            made = pipeline.tree
            stage = "config"
            config = pipeline.kconfig
            stage = "build"
            kernel = pipeline.kernel
        except SubjectError as error:
            found = vars(pipeline)
            return Step(
                number=number,
                tree=found.get("tree"),
                config=found["kconfig"].digest if "kconfig" in found else "",
                fault=Fault(
                    stage=stage, outcome=error.outcome, message=error.message,
                    evidence=error.evidence, hint=error.hint, log=error.log_path,
                ),
            )  # fmt: skip
        return Step(
            number=number,
            tree=made,
            config=config.digest,
            kernel=kernel,
            image=imageid.of(kernel.image),
            is_kept=all(each.cached for each in pipeline.stages.done if each.name == "build"),
        )

    def _boot(self, pipeline: Pipeline, cmdline: str) -> Boot:
        other = bootcache.with_cmdline(pipeline, cmdline)
        # The column that the whole series has: what it promises is promised from a patch on.
        facts = selection.facts(
            other.job, version=image.version_of(other.kernel.release), has_series=True
        )
        column = selection.variant(other.scenario, facts)
        if selection.promised_from(self.whole, column) > len(other.series.patches):
            return Boot(cmdline=cmdline, variant=column)
        question = self.question
        kept = bootcache.run(other, out=question.out, is_fresh=question.is_fresh)
        if kept.is_reused:
            found = kept.result.verdict
            log.say(f"{'boot':<10}{0.0:8.2f} s  cached; {found.outcome.value}")
        return Boot(cmdline=cmdline, variant=other.variant, kept=kept)


def _step_of(run: RunResult) -> Step:
    """Return a run as the step that all is held against: what it did, and nothing of how."""
    kept = bootcache.Kept(result=run, console=Path(), folder=None, is_reused=True)
    boot = Boot(cmdline=run.job.cmdline, variant=run.job.variant, kept=kept)
    return Step(number=0, boots=(boot,))
