"""The gate before a series is merged: takes what is asked, gives the result in its folder."""

import secrets
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness import check_reports, command, gates, gitmend, intake, log, measures, runs
from harness.check_result import CheckResult, Measure
from harness.errors import HostError, UsageError
from harness.gate import Gate, Question
from harness.gate_sources import Sources
from harness.gate_step import Answers
from harness.job import Job
from harness.result import RunResult
from harness.settings import Settings
from harness.store import Store


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says besides the job.

    No `cmdlines` are the series' own. `rounds` is how often base and tip are booted to measure
    them. `out` holds gates/ and runs/, in place of the usual folders.
    """

    cmdlines: tuple[str, ...] = ()
    against: str | None = None
    """A run, as `runs.find` knows it, or another base."""
    rounds: int = 0
    is_fresh: bool = False
    out: Path | None = None
    reports: tuple[tuple[str, Path], ...] = ()
    """What to write besides the gate's folder: the report's name, and an absolute path."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A gate: its result, and the folder that holds all of it."""

    result: CheckResult
    folder: Path


def run(job: Job, asked: Asked, *, settings: Settings, store: Store, stdin: BinaryIO) -> Published:
    """Check the series of `job` patch by patch, and publish what came of it.

    Raises:
        UsageError: there is no such series, no base, or the job asks for what cannot be.
        HostError: the result cannot be written.
    """
    started = time.monotonic()
    taken = intake.take(job, settings=settings, store=store, stdin=stdin)
    log.say(f"base {taken.job.base}: {taken.how}")
    question = Question(
        job=taken.job,
        cmdlines=asked.cmdlines or taken.whole.cmdlines or (job.cmdline,),
        against=_against(asked.against),
        out=asked.out / "runs" if asked.out else None,
        is_fresh=asked.is_fresh,
    )
    sources = Sources(taken.whole, settings.checks, store)
    gate = Gate(question, settings=settings, store=store, on_step=sources.look)
    answers = gate.run()
    seen = sources.seen(answers.steps)
    measured, answers = _measure(gate, answers, asked.rounds, store)
    top = asked.out / "gates" if asked.out else gates.gates_dir()
    id_ = runs.new_id(secrets.token_hex(4))
    told = gates.Told(
        taken=taken, question=question, seen=seen, checks=sources.checks(), measures=measured,
        seconds=time.monotonic() - started,
        repro=command.of_check(taken.job, asked.cmdlines, against=asked.against),
    )  # fmt: skip
    whole = gates.result_of(answers, told, pipeline=gate.pipeline(0), id_=id_)
    result = gates.placed(whole, top / id_)
    texts = check_reports.make_all(result, top / id_)
    folder = gates.publish(result, texts=texts, links={}, top=top)
    for name, file in asked.reports:
        check_reports.write(name, file, gates.placed(whole, file.parent))
    return Published(result=result, folder=folder)


def _against(name: str | None) -> str | RunResult | None:
    """Return the run that is called so, or the name of a base."""
    if name is None:
        return None
    try:
        folder = runs.find(name)
    except UsageError:
        return name
    return runs.read(folder)


def _measure(
    gate: Gate, answers: Answers, rounds: int, store: Store
) -> tuple[list[Measure], Answers]:
    """Compare base and tip, if both pass and are not the same; a fault of the host's ends it."""
    numbers = (0, len(answers.series.patches))
    base, tip = (answers.steps.get(number) for number in numbers)
    line = gate.question.cmdlines[0]
    are_sound = base and tip and all(
        (boot := step.boot_of(line)) and boot.is_pass for step in (base, tip)
    )  # fmt: skip
    if not (rounds and base and tip and are_sound) or base.image == tip.image or answers.fault:
        return [], answers
    log.say("- base and tip by turns")
    try:
        before, after = (gate.pipeline(number) for number in numbers)
        return measures.compare(before, after, rounds=rounds), answers
    except (HostError, OSError, MemoryError) as error:
        return [], msgspec.structs.replace(answers, fault=gitmend.settle(error, store))
