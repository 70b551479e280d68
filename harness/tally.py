"""Takes rounds as they end, gives their distribution. It keeps little, however many there are.

Pure: what it is told is all it knows.
"""

import math
import re
from array import array
from collections.abc import Sequence

import msgspec

from harness import allow
from harness.boots import Batch
from harness.errors import Outcome
from harness.job import Allowance, Booted, Interval, Seconds, Verdict, Way

# Of each way to go wrong the first few are worth a look, and of all of them a few dozen.
KEPT_EACH = 10
_KEPT_BYTES = 64 << 20
_WAYS_MAX = 40
_OTHERS = "(others)"

# The 97.5 % point of the normal distribution: 95 % lie within.
_Z = 1.959963984540054

# Times, which differ between rounds that went the same way.
_TIME = re.compile(r"\[ *\d+\.\d+\] ?|\b\d+\.\d+\b")


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """All boots of a job once, and what they came to together.

    `number` counts rounds from 1 as they ended. Nothing booted: QEMU could not be started.
    """

    batch: Batch
    verdict: Verdict
    number: int = 0


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all rounds.

    `kept` are those of which more is known than that they were: the first pass, and the first
    few that went each other way.
    """

    asked: int | None
    done: int
    boots: int
    ways: tuple[Way, ...]
    kept: tuple[Round, ...]
    seconds: Seconds | None
    allowance_uses: tuple[int, ...]
    """How many splats each of the job's allowances covered, in all boots."""
    stopped: str
    """Why there were fewer rounds than could have been; empty if there were not."""
    is_interrupted: bool

    def count(self, outcome: Outcome) -> int:
        """Return how many rounds had this outcome."""
        return sum(way.rounds for way in self.ways if way.outcome is outcome)

    @property
    def counted(self) -> int:
        """How many rounds say something of the subject."""
        return self.done - self.count(Outcome.HOST_ERROR)

    @property
    def words(self) -> str:
        """The distribution."""
        return distribution(self.ways)

    @property
    def interval(self) -> Interval | None:
        """The Wilson interval, 95 %, of the share of rounds that pass."""
        return wilson(self.count(Outcome.PASS), self.counted)

    @property
    def deciding(self) -> Round:
        """The round that the verdict is about: the first finding, else host error, else pass."""
        by_rank = sorted(self.kept, key=lambda each: (_rank(each.verdict.outcome), each.number))
        return by_rank[0]

    @property
    def verdict(self) -> Verdict:
        """A pass if each round that was asked for is one, else that of the deciding round."""
        first = self.deciding
        words = f"{self.words}{_interval_words(self)}"
        bad = [way for way in self.ways if way.outcome is not Outcome.PASS]
        if not bad and self.asked is not None and self.done < self.asked:
            return Verdict(
                outcome=Outcome.HOST_ERROR,
                reason=f"{self.stopped} after {self.done} of {self.asked} rounds: {words}",
                checks=first.verdict.checks,
                unexpected=first.verdict.unexpected,
            )
        if not bad:
            reason = f"{words}; {first.verdict.reason}"
        else:
            reason = f"round {first.number}: {first.verdict.reason}; {words}"
        others = tuple(
            f"then: {way.outcome.value} in {way.rounds}: {way.title}"
            for way in bad
            if first.number not in way.kept
        )
        return msgspec.structs.replace(
            first.verdict, reason=reason, evidence=(*first.verdict.evidence, *others)
        )


def _rank(outcome: Outcome) -> int:
    # The host's faults are no answer while there is one.
    return {Outcome.PASS: 2, Outcome.HOST_ERROR: 1}.get(outcome, 0)


class Tally:
    """The rounds so far. `asked` is how many there are to be, None for no bound."""

    def __init__(self, *, allowances: Sequence[Allowance] = (), asked: int | None = None) -> None:
        self.asked = asked
        self.host_errors_in_a_row = 0
        self._allowances = allowances
        self._uses = [0] * len(allowances)
        self._boots = 0
        self._ways: dict[tuple[Outcome, str], Way] = {}
        self._kept: list[Round] = []
        self._kept_bytes = 0
        self._seconds = array("d")

    @property
    def done(self) -> int:
        """How many rounds there were."""
        return sum(way.rounds for way in self._ways.values())

    @property
    def findings(self) -> int:
        """How many rounds were neither a pass nor the host's fault."""
        return sum(way.rounds for way in self._ways.values() if not _rank(way.outcome))

    @property
    def words(self) -> str:
        """The distribution so far."""
        return distribution(tuple(self._ways.values()))

    def add(self, made: Round) -> bool:
        """Count a round; say whether it is the first that went wrong in its way."""
        self._boots += len(made.batch.done)
        outcome = made.verdict.outcome
        is_host_error = outcome is Outcome.HOST_ERROR
        self.host_errors_in_a_row = self.host_errors_in_a_row + 1 if is_host_error else 0
        if not is_host_error:
            self._seconds.append(sum(booted.transcript.seconds for booted in made.batch.done))
        splats = [splat for booted in made.batch.done for splat in booted.console.splats]
        uses = allow.uses(self._allowances, splats)
        self._uses = [a + b for a, b in zip(self._uses, uses, strict=True)]
        title = "" if outcome is Outcome.PASS else title_of(made)
        if (outcome, title) not in self._ways and len(self._ways) >= _WAYS_MAX:
            title = _OTHERS
        way = self._ways.setdefault((outcome, title), Way(outcome=outcome, title=title))
        way.rounds += 1
        self._keep(msgspec.structs.replace(made, number=self.done), way)
        return way.rounds == 1 and outcome is not Outcome.PASS

    def _keep(self, made: Round, way: Way) -> None:
        limit = 1 if way.outcome is Outcome.PASS else KEPT_EACH
        rank = _rank(way.outcome)
        # The verdict may be about the first of its rank, however much that said.
        is_first = all(_rank(each.verdict.outcome) != rank for each in self._kept)
        if len(way.kept) >= limit or (self._kept_bytes > _KEPT_BYTES and not is_first):
            return
        way.kept.append(made.number)
        self._kept_bytes += sum(len(booted.transcript.console) for booted in made.batch.done)
        done = tuple(map(_without_lines, made.batch.done))
        batch = msgspec.structs.replace(made.batch, done=done)
        self._kept.append(msgspec.structs.replace(made, batch=batch))

    def result(self, *, stopped: str = "", is_interrupted: bool = False) -> Repetition:
        """Return what there is: of one round at least."""
        from statistics import median  # noqa: PLC0415 - ten milliseconds

        seconds = [round(value, 3) for value in self._seconds]
        return Repetition(
            asked=self.asked,
            done=self.done,
            boots=self._boots,
            ways=tuple(self._ways.values()),
            kept=tuple(self._kept),
            seconds=Seconds(median=median(seconds), min=min(seconds), max=max(seconds))
            if seconds
            else None,
            allowance_uses=tuple(self._uses),
            stopped=stopped,
            is_interrupted=is_interrupted,
        )


def title_of(made: Round) -> str:
    """Return what a round goes by among others: its reason less what is its alone."""
    title = made.verdict.reason
    for booted in made.batch.done:
        title = title.replace(booted.spec.nonce, "NONCE")
    return _TIME.sub("", title).strip()


def _without_lines(booted: Booted) -> Booted:
    # The transcript has the console too; its lines as text take several times its size.
    return msgspec.structs.replace(
        booted, console=msgspec.structs.replace(booted.console, lines={})
    )


def distribution(ways: Sequence[Way]) -> str:
    """Return how often rounds had which outcome: `pass 998/1000, hang 2/1000`."""
    counts: dict[Outcome, int] = {}
    for way in ways:
        counts[way.outcome] = counts.get(way.outcome, 0) + way.rounds
    errors = counts.pop(Outcome.HOST_ERROR, 0)
    total = sum(counts.values())
    counts = {Outcome.PASS: 0, **counts} if total else {}
    parts = [f"{outcome.value} {count}/{total}" for outcome, count in counts.items()]
    if errors:
        parts.append(f"host-error {errors}, not counted")
    return ", ".join(parts)


def wilson(hits: int, total: int) -> Interval | None:
    """Return the bounds of a share's Wilson score interval, 95 %; None of nothing."""
    if total == 0:
        return None
    share, square = hits / total, _Z * _Z
    middle = share + square / (2 * total)
    reach = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    # At the ends they are 0 and 1, but for what floats leave.
    low = 0.0 if hits == 0 else (middle - reach) / scale
    high = 1.0 if hits == total else (middle + reach) / scale
    return Interval(low=round(low, 6), high=round(high, 6))


def _interval_words(made: Repetition) -> str:
    if made.interval is None:
        return ""
    return f" (pass rate {made.interval.low:.2%} to {made.interval.high:.2%}, Wilson 95 %)"
