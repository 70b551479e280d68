"""Takes what a bisect goes over, gives where it begins, and the job of each of its tries.

A history: commits, or kernels that are built already. Or a list whose parts are tried: the patches
of a series, the words of a command line, the symbols that two .configs differ in.
"""

import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import (
    bisect_config,
    bisect_history,
    bisect_state,
    command,
    params,
    runs,
    series,
    subset,
)
from harness.bisect_history import Listed, Range
from harness.bisect_state import Over, Question, State
from harness.errors import UsageError
from harness.job import Job
from harness.settings import Settings
from harness.store import Store

_SHORT = 12
_SHOWN = 3


def begin(question: Question, *, settings: Settings, store: Store) -> State:
    """Return a bisect that has asked nothing yet; one of kernels has `kernels` for that.

    Raises:
        UsageError: there is nothing to go over.
        SubjectError: of a bisect over .configs, a tree whose Kconfig fails.
    """
    if question.over is Over.COMMITS:
        if question.job.tree is None:
            raise UsageError("a bisect needs the clone that has the commits", hint="add --tree DIR")
        return start(question, bisect_history.read(question.job.tree, question.old, question.new))
    number = runs.new_id(secrets.token_hex(4))
    if question.over is Over.CONFIG:
        folder = bisect_state.bisects_dir() / number
        items = bisect_config.items(
            question.job, question.configs, folder, settings=settings, store=store
        )
    elif question.over is Over.PATCHES:
        items = _patches(question.job, settings)
    else:
        found = params.words(question.job.cmdline)
        items = [Listed(name=word, parents=(), subject="", files=()) for word in found]
    if not items:
        what = "patches" if question.over is Over.PATCHES else "parameters"
        raise UsageError(f"there is nothing to take a part of: no {what}")
    whole = subset.name_of(range(len(items)))
    # The part that has nothing is the older one: what it lacks, the whole brings.
    return start(question, Range(old=subset.NONE, new=whole, commits=tuple(items)), number)


def start(question: Question, between: Range, number: str | None = None) -> State:
    """Return a bisect that has asked nothing yet, and keep it."""
    number = number or runs.new_id(secrets.token_hex(4))
    state = State(id=number, question=question, between=between)
    bisect_state.save(state)
    return state


def _patches(job: Job, settings: Settings) -> list[Listed]:
    found = series.load(job.series, search=settings.patches, tree=job.tree)
    return [
        Listed(name=str(number), parents=(), subject=each.subject, files=())
        for number, each in enumerate(found.patches, 1)
    ]


def job_of(state: State, name: str) -> Job:
    """Return the job that tries a commit, a kernel or a part."""
    question = state.question
    job = question.job
    if question.over is Over.COMMITS:
        return msgspec.structs.replace(job, base=name)
    if question.over is Over.KERNELS:
        return msgspec.structs.replace(job, kernel=name, series="none")
    if question.over is Over.PATCHES:
        picked = "0" if name == subset.NONE else name
        return msgspec.structs.replace(job, series=f"{job.series}:{picked}")
    chosen = items_of(state, name)
    if question.over is Over.CMDLINE:
        return msgspec.structs.replace(job, cmdline=" ".join(each.name for each in chosen))
    files = bisect_config.files(bisect_state.folder_of(state), name, [c.name for c in chosen])
    return msgspec.structs.replace(job, kconfig=tuple(map(str, files)))


def items_of(state: State, name: str) -> Sequence[Listed]:
    """Return the items of a part."""
    return [state.between.commits[index] for index in subset.part_of(name)]


def words_of(state: State, name: str) -> str:
    """Return for people what is tried."""
    return f"{short(state, name)} {subject_of(state, name)}".strip()


def short(state: State, name: str) -> str:
    """Return the name of what is tried, as short as it is known by."""
    over = state.question.over
    if over is Over.COMMITS:
        return name[:_SHORT]
    return Path(name).name if over is Over.KERNELS else name


def subject_of(state: State, name: str) -> str:
    """Return what a commit, a kernel or a part is, in a line."""
    if not state.question.over.is_subset:
        found = next((each for each in state.between.commits if each.name == name), None)
        which = "the old end" if name == state.between.old else ""
        return found.subject if found else which
    chosen = items_of(state, name)
    words = " ".join(_item_words(state, each) for each in chosen[:_SHOWN])
    if len(chosen) > _SHOWN:
        words += f" and {len(chosen) - _SHOWN} more"
    return words or "none of them"


def _item_words(state: State, each: Listed) -> str:
    return f'"{each.subject}"' if state.question.over is Over.PATCHES else each.name


def end_of(state: State, *, is_old: bool) -> str:
    """Return how the user knows an end of what is gone over."""
    question = state.question
    if question.over is Over.COMMITS:
        return question.old if is_old else question.new
    name = state.between.old if is_old else state.between.new
    if question.over is Over.KERNELS:
        return short(state, name)
    if question.over is Over.CONFIG:
        return str(question.configs[0 if is_old else 1])
    return "none of them" if is_old else "all of them"


def repro(state: State) -> str:
    """Return the command line that begins the same bisect."""
    question, job = state.question, state.question.job
    old, new = ("--bad", "--good") if question.fixed else ("--good", "--bad")
    words = ["harness", "bisect"]
    if question.over is Over.COMMITS:
        words += [old, question.old, new, question.new]
    elif question.over is Over.KERNELS:
        for name in (state.between.old, *(each.name for each in state.between.commits)):
            words += ["--kernels", name]
    elif question.over is Over.PATCHES:
        words += ["--patches"]
    elif question.over is Over.CONFIG:
        words += ["--config", *map(str, question.configs)]
    limit = question.threshold
    for option, value in (
        ("--find", "fixed" if question.fixed else None),
        ("--measure", limit and limit.name),
        ("--above", limit and limit.above),
        ("--below", limit and limit.below),
        ("--flaky", question.rounds if question.is_flaky else None),
        ("--confidence", question.confidence if question.is_flaky else None),
        ("--series", job.series if job.series != "none" and not job.kernel else None),
    ):
        if value is not None:
            words += [option, str(value)]
    return shlex.join([*words, *command.words_of(job, (job.cmdline,))])
