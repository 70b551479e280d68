"""Which commit it was: histories without any kernel, by the hundred."""

import random

import pytest

from harness.posterior import Commit, History, Rates, Tally

ALWAYS, NEVER = 1.0, 0.0


def line(count: int) -> list[Commit]:
    return [
        Commit(name=f"c{index}", parents=(f"c{index - 1}",) if index else ())
        for index in range(count)
    ]


def with_merges(draw: random.Random, count: int) -> list[Commit]:
    """A history in which every commit has one or two earlier parents, the last has all."""
    commits = [Commit(name="c0")]
    for index in range(1, count):
        parents = {f"c{index - 1}"} if draw.random() < 0.6 else {f"c{draw.randrange(index)}"}
        if draw.random() < 0.2:
            parents.add(f"c{draw.randrange(index)}")
        commits.append(
            Commit(name=f"c{index}", parents=tuple(parents), matters=draw.random() < 0.7)
        )
    heads = {c.name for c in commits} - {p for c in commits for p in c.parents}
    return [*commits, Commit(name="tip", parents=tuple(sorted(heads)))]


def bisect(
    history: History,
    cause: str,
    draw: random.Random,
    *,
    shows: float = ALWAYS,
    strays: float = NEVER,
    confidence: float = 1.0,
    untestable: frozenset[str] = frozenset(),
    at_most: int = 3000,
) -> tuple[str | None, int]:
    """Return what it comes to (None: a range only), and the number of tries."""
    bad_end = history.commits[-1].name
    tallies: dict[str, Tally] = {bad_end: Tally(bad=1), "good end": Tally(good=1)}
    barred: frozenset[str] = frozenset()
    for tries in range(at_most):
        found = history.posterior(tallies)
        likeliest = max(found, key=lambda name: found[name])
        if found[likeliest] >= confidence - 1e-9:
            return likeliest, tries
        choice = history.choose(tallies, cost={}, default_cost=1.0, barred=barred)
        if choice is None:
            return None, tries
        name = choice.name
        if name in untestable:
            barred |= {name}
            continue
        rate = shows if history.has(name, cause) else strays
        was = tallies.get(name, Tally())
        hit = draw.random() < rate
        tallies[name] = Tally(bad=was.bad + hit, good=was.good + (not hit))
    return None, at_most


@pytest.mark.parametrize("seed", range(100))
def test_a_finding_that_always_shows_is_never_laid_to_a_wrong_commit(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - no secret
    history = History(with_merges(draw, draw.randrange(2, 90)))
    cause = draw.choice(history.relevant)
    found, _ = bisect(history, cause, draw)
    assert found == cause


@pytest.mark.parametrize("seed", range(50))
def test_what_cannot_be_tested_leaves_a_range_and_never_a_wrong_commit(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    history = History(with_merges(draw, 40))
    cause = draw.choice(history.relevant)
    untestable = frozenset(name for name in history.relevant if draw.random() < 0.4)
    found, _ = bisect(history, cause, draw, untestable=untestable - {"tip"})
    assert found in (cause, None)


def test_a_line_takes_as_many_tries_as_its_logarithm() -> None:
    draw = random.Random(0)  # noqa: S311
    for cause in ("c0", "c17", "c63"):
        found, tries = bisect(History(line(64)), cause, draw)
        assert found == cause
        assert tries <= 6


def test_commits_that_cannot_matter_cost_nothing() -> None:
    commits = [
        Commit(name=f"c{i}", parents=(f"c{i - 1}",) if i else (), matters=i % 8 == 3)
        for i in range(64)
    ]
    found, tries = bisect(History(commits), "c19", random.Random(0))  # noqa: S311
    assert (found, tries <= 3) == ("c19", True)


def test_flakes_of_70_to_30_are_right_as_often_as_is_said() -> None:
    right = tries = 0
    for seed in range(100):
        draw = random.Random(seed)  # noqa: S311
        history = History(line(32), Rates())
        cause = draw.choice(history.relevant)
        found, needed = bisect(history, cause, draw, shows=0.7, strays=0.3, confidence=0.95)
        right += found == cause
        tries += needed
    assert right >= 95
    assert tries / 100 < 200


def test_a_finding_in_half_of_the_boots_is_found_with_few_more_tries() -> None:
    right = tries = 0
    for seed in range(60):
        draw = random.Random(seed)  # noqa: S311
        history = History(line(64), Rates(shows=(3.0, 5.0), strays=(0.5, 19.5)))
        cause = draw.choice(history.relevant)
        found, needed = bisect(history, cause, draw, shows=0.5, confidence=0.99)
        right += found == cause
        tries += needed
    assert right >= 58
    assert tries / 60 < 60


def test_what_is_built_already_is_tried_before_what_must_be_built() -> None:
    history = History(line(9), Rates())
    tallies = {"c8": Tally(bad=1), "good": Tally(good=1)}
    dear = history.choose(tallies, cost={}, default_cost=30.0)
    cheap = history.choose(tallies, cost={"c2": 1.0}, default_cost=30.0)
    assert dear
    assert dear.name == "c3"
    assert cheap
    assert cheap.name == "c2"


def test_what_is_left_is_said_in_tries_and_seconds() -> None:
    choice = History(line(64)).choose({"c63": Tally(bad=1)}, cost={}, default_cost=10.0)
    assert choice
    assert choice.tries == pytest.approx(6)
    assert choice.seconds == pytest.approx(60)
    flaky = History(line(64), Rates()).choose({"c63": Tally(bad=1)}, cost={}, default_cost=10.0)
    assert flaky
    assert flaky.tries > 30


def test_the_commits_of_a_release_are_not_too_many() -> None:
    history = History(line(16_000))
    choice = history.choose({"c15999": Tally(bad=1)}, cost={}, default_cost=10.0)
    assert choice
    assert abs(int(choice.name[1:]) - 8_000) < 32
