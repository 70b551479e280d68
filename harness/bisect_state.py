"""What a bisect has asked and been told so far: one file, written whole after each answer."""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from harness import document, paths, subset
from harness.bisect_history import Range
from harness.errors import Outcome, UsageError
from harness.job import Job
from harness.posterior import Commit, History, Rates, Tally
from harness.signature import Class, Facts, Signature, Threshold
from harness.store import write_atomically

FILE = "state.json"
REUSED = "reused"


class Over(StrEnum):
    """What a bisect goes over."""

    COMMITS = "commits"
    KERNELS = "kernels"
    """Images that are built already, in the order of their versions."""
    PATCHES = "patches"
    CMDLINE = "cmdline"
    CONFIG = "config"

    @property
    def is_subset(self) -> bool:
        """Whether the answer is a part of a list, and not a point in a history."""
        return self in (Over.PATCHES, Over.CMDLINE, Over.CONFIG)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `job` has the tree and the series on top of each commit.

    `old` and `new` are as the user named them; `fixed` looks for the commit that repairs.
    `rounds` is how often each end is booted, where the finding comes and goes. `folder` is where
    the user stood: what the job names may be found from there alone. `configs` are the two files
    of a bisect over .configs.
    """

    job: Job
    old: str
    new: str
    over: Over = Over.COMMITS
    folder: Path = Path()
    configs: tuple[Path, ...] = ()
    fixed: bool = False
    threshold: Threshold | None = None
    confidence: float = 0.99
    rounds: int = 1

    @property
    def is_flaky(self) -> bool:
        """Whether one try settles nothing."""
        return self.rounds > 1


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: `told` is what it says, `class_` the same, or `reused` if nothing was booted."""

    commit: str
    outcome: str
    class_: str = msgspec.field(name="class")
    told: Class
    reason: str
    seconds: float
    build_s: float
    """How long it took to have the kernel."""
    run: str
    evidence: tuple[str, ...] = ()

    @property
    def facts(self) -> Facts:
        """What it came to, as far as it is kept."""
        return Facts(outcome=Outcome(self.outcome), reason=self.reason, evidence=self.evidence)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A bisect under way.

    `between` is a history, or a list whose parts are tried: then the names of its ends, and of
    each try, are `subset`'s.

    `bad` is what the end with the finding came to, `good` the other; `signature` and `mattering`
    are told once both are known.
    """

    id: str
    question: Question
    between: Range
    bad: Facts | None = None
    good: Facts | None = None
    signature: Signature | None = None
    mattering: tuple[str, ...] = ()
    strays: bool = False
    """Whether the good end has shown the finding, now and then."""
    contradicted: bool = False
    """Whether tries were at odds, though the finding was held to show each time."""
    proofs: int = 0
    """How often the good commit next to the answer was booted again, and stayed good."""
    tries: tuple[Try, ...] = ()
    seconds: float = 0.0

    @property
    def is_flaky(self) -> bool:
        """Whether one try settles nothing."""
        return self.question.is_flaky or self.contradicted

    @property
    def enough(self) -> float:
        """How likely a commit has to be to be the answer."""
        return self.question.confidence if self.is_flaky else 1.0 - 1e-9

    def history(self) -> History:
        """Return the range as the chooser knows it."""
        matters = frozenset(self.mattering)
        commits = [
            Commit(name=each.name, parents=each.parents, matters=each.name in matters)
            for each in self.between.commits
        ]
        rates = None
        if self.is_flaky:
            # Booted as often and never shown, it hardly ever strays.
            rates = Rates() if self.strays else Rates(shows=(3.0, 5.0), strays=(0.5, 19.5))
        return History(commits, rates)

    def tallies(self) -> Mapping[str, Tally]:
        """Return how often each commit showed what is looked for, the ends included."""
        found: dict[str, Tally] = {}
        for each in self.tries:
            was = found.get(each.commit, Tally())
            if each.told in (Class.BAD, Class.GOOD):
                # Looking for a repair, the finding is what the older commits have.
                is_new = (each.told is Class.BAD) != self.question.fixed
                found[each.commit] = Tally(bad=was.bad + is_new, good=was.good + (not is_new))
        return found

    def step(self) -> subset.Step:
        """Return where the search for a part is."""
        barred = self.barred()
        known = dict.fromkeys(barred, False)
        for name, tally in self.tallies().items():
            # What shows the finding once has it; without it, it was not shown so often.
            shown, hidden = tally.bad, tally.good
            if self.question.fixed:
                shown, hidden = hidden, shown
            if shown or hidden >= self.question.rounds or name in barred:
                known[name] = bool(shown) != self.question.fixed
        return subset.step(len(self.between.commits), known)

    def barred(self) -> frozenset[str]:
        """Return the commits that cannot answer."""
        return frozenset(
            each.commit for each in self.tries if each.told in (Class.OTHER, Class.UNTESTABLE)
        )


def bisects_dir() -> Path:
    """The folder of all bisects."""
    return paths.state_dir() / "bisects"


def folder_of(state: State) -> Path:
    """Return the folder of a bisect."""
    return bisects_dir() / state.id


def save(state: State) -> None:
    """Write the state; a reader sees this one or the last."""
    folder = folder_of(state)
    folder.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.encode(state, enc_hook=os.fspath)
    write_atomically(folder / FILE, msgspec.json.format(data, indent=1) + b"\n", is_durable=True)


def latest() -> State:
    """Return the bisect that was worked on last.

    Raises:
        UsageError: there is none, or another version wrote it.
    """
    found = sorted(bisects_dir().glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise UsageError(
            f"no bisect yet in {bisects_dir()}", hint="begin one: harness bisect --tree DIR …"
        )
    return load(found[-1])


def check_folder(state: State) -> None:
    """Check that the user stands where the bisect was begun, and its settings and files are.

    Raises:
        UsageError: they do not.
    """
    if state.question.folder not in (Path(), Path.cwd()):
        raise UsageError(
            f"this bisect was begun in {state.question.folder}, and its settings are those there",
            hint=f"cd {state.question.folder}",
        )


def load(path: Path) -> State:
    """Read a state back.

    Raises:
        UsageError: it is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=State, dec_hook=document.decode_path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: not a bisect of this version: {error}") from error
