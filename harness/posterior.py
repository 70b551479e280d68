"""Takes a history and what tries of its commits came to, gives which commit it was, and what next.

Pure. The history is a directed graph: a commit has what its ancestors brought. Where a finding
shows each time, a try divides the commits that can be the one. Where it comes and goes, each try
moves the odds: how often it shows with and without the cause is learnt from the tries themselves,
each with a Beta prior (as git-bayesect does it).
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from math import exp, lgamma, log2

import msgspec

# With more commits than this, only so many of them are weighed as the next to try.
_WEIGHED = 512
_TINY = 1e-12


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of the range, its parents in the range, and whether it can matter."""

    name: str
    parents: tuple[str, ...] = ()
    matters: bool = True


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How often a commit showed the finding, and how often not."""

    bad: int = 0
    good: int = 0


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The commit to try next, and the seconds until the answer if all goes as it can be expected.

    `tries` is how many that will be.
    """

    name: str
    tries: float
    seconds: float


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Pseudo-counts (shows, does not): with its cause in the kernel, and without.

    The usual ones expect 7 in 10 and 3 in 10, which is about as bad as it gets: odds that start
    from less noise are sure too soon, and of the wrong commit (tests/test_posterior.py).
    """

    shows: tuple[float, float] = (14.0, 6.0)
    strays: tuple[float, float] = (6.0, 14.0)


class History:
    """Commits from the oldest to the newest, parents before children; the last is the bad end."""

    def __init__(self, commits: Sequence[Commit], rates: Rates | None = None) -> None:
        self.commits = commits
        self.rates = rates
        self._at = {commit.name: index for index, commit in enumerate(commits)}
        self._masks: list[int] = []
        for index, commit in enumerate(commits):
            mask = 1 << index
            for parent in commit.parents:
                mask |= self._masks[self._at[parent]] if parent in self._at else 0
            self._masks.append(mask)

    @cached_property
    def relevant(self) -> tuple[str, ...]:
        """The commits that can be the one."""
        return tuple(commit.name for commit in self.commits if commit.matters)

    def has(self, commit: str, brought_by: str) -> bool:
        """Whether a commit has what another brought; all have what is outside of the range."""
        return brought_by not in self._at or bool(self._mask(commit) >> self._at[brought_by] & 1)

    def place(self, name: str) -> int:
        """Return where a commit stands, -1 if outside of the range, as the good end is."""
        return self._at.get(name, -1)

    def count(self, after: str, until: str) -> int:
        """Return how many commits `until` has and `after` has not, itself included."""
        return (self._mask(until) & ~self._mask(after)).bit_count()

    def _mask(self, name: str) -> int:
        return self._masks[self._at[name]] if name in self._at else 0

    def posterior(self, tallies: Mapping[str, Tally]) -> dict[str, float]:
        """Return how likely each relevant commit is the one; they add up to 1, or are none."""
        known = [(self._masks[self._at[n]], t) for n, t in tallies.items() if n in self._at]
        outside = [t for n, t in tallies.items() if n not in self._at]
        weights = {n: self._likelihood(self._at[n], known, outside) for n in self.relevant}
        top = max((w for w in weights.values() if w is not None), default=None)
        if top is None:
            return {}
        raised = {n: exp(w - top) for n, w in weights.items() if w is not None}
        total = sum(raised.values())
        return {n: w / total for n, w in raised.items() if w / total > _TINY}

    def _likelihood(
        self, index: int, known: Iterable[tuple[int, Tally]], outside: Iterable[Tally]
    ) -> float | None:
        """Return the logarithm of how likely all tries are if this commit is the one."""
        with_bad = with_good = without_bad = without_good = 0
        for mask, tally in known:
            if mask >> index & 1:
                with_bad, with_good = with_bad + tally.bad, with_good + tally.good
            else:
                without_bad, without_good = without_bad + tally.bad, without_good + tally.good
        for tally in outside:
            without_bad, without_good = without_bad + tally.bad, without_good + tally.good
        if self.rates is None:
            return None if with_good or without_bad else 0.0
        return _beta(self.rates.shows, with_bad, with_good) + _beta(
            self.rates.strays, without_bad, without_good
        )

    def choose(
        self,
        tallies: Mapping[str, Tally],
        *,
        cost: Mapping[str, float],
        default_cost: float,
        barred: frozenset[str] = frozenset(),
    ) -> Choice | None:
        """Return the commit to try next: most information a second; None if none would tell.

        `cost` has the seconds of those that are cheaper than others, as they are built already.
        """
        found = self.posterior(tallies)
        odds = _Odds(found, self._at)
        best: tuple[float, float, str] | None = None
        for name in self._weighed(found):
            if name in barred or (self.rates is None and name in tallies):
                continue
            bits = self._gain(name, odds, tallies)
            gain = bits * self._hope(name, barred) / cost.get(name, default_cost)
            if gain > _TINY and (best is None or gain > best[0]):
                best = (gain, bits, name)
        if best is None:
            return None
        gain, bits, name = best
        return Choice(name=name, tries=odds.bits / bits, seconds=odds.bits / gain)

    def _hope(self, name: str, barred: frozenset[str]) -> float:
        """Return how likely a commit can answer: what its neighbours could not, it seldom can."""
        at = self._at[name]
        near = min((abs(at - self._at[n]) for n in barred if n in self._at), default=None)
        return 1.0 if near is None else near / (near + 1)

    def _weighed(self, found: Mapping[str, float]) -> Sequence[str]:
        """Return commits worth weighing; of very many, those that divide the odds most evenly."""
        names = [commit.name for commit in self.commits if commit.matters]
        if len(names) <= _WEIGHED:
            return names
        likely = [name for name in names if name in found]
        step = max(1, len(likely) // _WEIGHED)
        return likely[::step]

    def _gain(self, name: str, odds: "_Odds", tallies: Mapping[str, Tally]) -> float:
        """Return the bits that one more try of a commit is expected to give."""
        having = odds.within(self._masks[self._at[name]])
        if self.rates is None:
            return _entropy(having)
        shows, strays = self._rates_now(odds.found, tallies)
        bad = having * shows + (1 - having) * strays
        # What it says of whether the commit has it.
        return _entropy(bad) - having * _entropy(shows) - (1 - having) * _entropy(strays)

    def _rates_now(
        self, found: Mapping[str, float], tallies: Mapping[str, Tally]
    ) -> tuple[float, float]:
        """Return how often it shows with and without its cause, as the likeliest commit has it."""
        rates = self.rates or Rates()
        likeliest = max(found, key=lambda name: found[name])
        counts = [list(rates.shows), list(rates.strays)]
        for name, tally in tallies.items():
            side = 0 if name in self._at and self.has(name, likeliest) else 1
            counts[side][0] += tally.bad
            counts[side][1] += tally.good
        return counts[0][0] / sum(counts[0]), counts[1][0] / sum(counts[1])


class _Odds:
    """How likely each commit is the one, by its place in the history."""

    def __init__(self, found: Mapping[str, float], at: Mapping[str, int]) -> None:
        self.found = found
        self.bits = sum(-p * log2(p) for p in found.values())
        self._mask = 0
        for name in found:
            self._mask |= 1 << at[name]
        self._by_place = [(at[name], p) for name, p in found.items()]
        self._is_even = len(set(found.values())) == 1

    def within(self, mask: int) -> float:
        """Return how likely the one is among those of a mask."""
        if self._is_even:  # by far the most histories: the tens of thousands of a release
            return (mask & self._mask).bit_count() / len(self._by_place)
        return sum(p for place, p in self._by_place if mask >> place & 1)


def _beta(prior: tuple[float, float], hits: int, misses: int) -> float:
    """Return the logarithm of a Beta-binomial likelihood, but for the order of the tries."""
    a, b = prior
    return (
        lgamma(a + hits) + lgamma(b + misses) - lgamma(a + b + hits + misses)
        - lgamma(a) - lgamma(b) + lgamma(a + b)
    )  # fmt: skip


def _entropy(chance: float) -> float:
    if chance <= 0 or chance >= 1:
        return 0.0
    return -chance * log2(chance) - (1 - chance) * log2(1 - chance)
