"""Takes the pipelines of two kernels, gives how long they boot and what memory they leave.

Boots of the two alternate, so that what this machine does beside them falls on both.
"""

import json
import re
import secrets
import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import comb
from pathlib import Path

from harness import bootcache, boots, outfit, selection
from harness.check_result import Interval, Measure
from harness.job import Booted
from harness.pipeline import Pipeline

_SCHEMA = "1"
_CHANCE = 0.01
_COVERAGE = 0.95
_TIME = re.compile(rb"\[ *(\d+\.\d+)\] harness: \w+ \d+ begin")
_MEMORY = re.compile(rb"\] Memory: (\d+)K/\d+K available")


def _first(pattern: re.Pattern[bytes], booted: Booted) -> float | None:
    found = pattern.search(booted.transcript.console)
    return float(found[1]) if found else None


# name, unit: what of a boot it is.
_QUANTITIES: Mapping[tuple[str, str], Callable[[Booted], float | None]] = {
    ("time until init, by the guest's clock", "s"): lambda booted: _first(_TIME, booted),
    ("time of the whole boot", "s"): lambda booted: booted.transcript.seconds,
    ("memory that the kernel leaves free", "KiB"): lambda booted: _first(_MEMORY, booted),
}


def compare(before: Pipeline, after: Pipeline, *, rounds: int) -> list[Measure]:
    """Boot each of two kernels `rounds` times by turns, and compare what can be measured.

    Equal kernels that were compared so before are not booted again.

    Raises:
        HostError: this machine failed.
    """
    sides = (before, after)
    inputs = {"schema": _SCHEMA, "rounds": str(rounds)}
    for name, side in zip(("before", "after"), sides, strict=True):
        inputs |= {f"{name}: {key}": value for key, value in bootcache.inputs_of(side).items()}

    def make(folder: Path) -> None:
        seen: list[list[Booted]] = [[], []]
        for _ in range(rounds):
            for side, made in zip(sides, seen, strict=True):
                made.extend(_boot(side))
        (folder / "samples.json").write_text(json.dumps(_samples(seen)))

    entry = before.store.get_or_make("measure", inputs, make)
    samples = json.loads((entry.path / "samples.json").read_bytes())
    return [
        Measure(
            name=name, unit=unit, before=interval(old), after=interval(new),
            is_significant=chance(old, new) < _CHANCE,
        )
        for name, unit, old, new in samples
    ]  # fmt: skip


def _boot(pipeline: Pipeline) -> Sequence[Booted]:
    plans = selection.for_variant(pipeline.scenario, pipeline.plans, pipeline.variant)
    plans, cannot = outfit.choose(plans[:1], pipeline.kernel, pipeline.arch)
    asked = [(plan, pipeline.spec_of(plan, secrets.token_hex(4))) for plan in plans]
    return boots.make(pipeline.subject, asked, cannot).done


def _samples(seen: Sequence[Sequence[Booted]]) -> list[tuple[str, str, list[float], list[float]]]:
    found = []
    for (name, unit), of in _QUANTITIES.items():
        old, new = (
            [value for booted in side if (value := of(booted)) is not None] for side in seen
        )
        if old and new:
            found.append((name, unit, old, new))
    return found


def interval(samples: Sequence[float]) -> Interval:
    """Return the median, and the innermost two samples that hold it with a chance of 95 %.

    Fewer than six samples have none that do: then it is the outermost two.
    """
    ordered = sorted(samples)
    count = len(ordered)
    skip = 0
    # The true median lies outside if all samples but `skip` are on one side of it.
    while skip < (count - 1) // 2 and _outside(count, skip + 1) <= 1 - _COVERAGE:
        skip += 1
    return Interval(
        median=statistics.median(ordered),
        low=ordered[skip],
        high=ordered[count - 1 - skip],
        samples=count,
    )


def _outside(count: int, skip: int) -> float:
    return float(2 * sum(comb(count, index) for index in range(skip + 1)) / 2**count)


def chance(before: Sequence[float], after: Sequence[float]) -> float:
    """Return how likely ranks as far apart are if both are of one kind (a permutation test)."""
    ordered = sorted([*before, *after])
    # Equals share the mean of their places.
    places = {value: ordered.index(value) + (ordered.count(value) - 1) / 2 for value in ordered}
    ranks = [places[value] for value in (*before, *after)]
    middle = len(before) * (len(ordered) - 1) / 2
    seen = abs(sum(ranks[: len(before)]) - middle)
    sums = [abs(sum(chosen) - middle) for chosen in combinations(ranks, len(before))]
    return sum(each >= seen - 1e-9 for each in sums) / len(sums)
