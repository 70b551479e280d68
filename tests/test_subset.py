"""The smallest part that shows a finding: lists without any kernel, by the hundred."""

import random
from collections.abc import Callable
from itertools import combinations
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import subset

Shows = Callable[[frozenset[int]], bool]


def reduce(count: int, shows: Shows) -> tuple[frozenset[int], int]:
    """Return the part that is found, and the number of tries."""
    known: dict[str, bool] = {}
    while True:
        step = subset.step(count, known)
        if step.found is not None:
            return frozenset(step.found), len(known)
        assert step.ask is not None
        assert step.ask not in known
        known[step.ask] = shows(frozenset(subset.part_of(step.ask)))


@pytest.mark.parametrize("seed", range(100))
def test_the_items_that_it_takes_are_found_and_no_others(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - no secret
    count = draw.randrange(1, 200)
    cause = frozenset(draw.sample(range(count), draw.randrange(1, min(count, 4) + 1)))
    found, tries = reduce(count, lambda part: cause <= part)
    assert found == cause
    # A search by halves an item, one more try whether that is all, and one whether it is needed.
    assert tries <= len(cause) * (ceil(log2(count)) + 2)


@pytest.mark.parametrize("seed", range(100))
def test_an_answer_shows_it_and_less_any_item_does_not(seed: int) -> None:
    """Whatever the parts come to: items that need others, or hide what others do."""
    draw = random.Random(seed)  # noqa: S311
    count = draw.randrange(1, 10)
    whole = frozenset(range(count))
    showing = {
        frozenset(part)
        for size in range(1, count)
        for part in combinations(range(count), size)
        if draw.random() < 0.3
    } | {whole}
    found, _ = reduce(count, lambda part: part in showing)
    assert found in showing
    assert not any(found - {item} in showing for item in found)


def test_what_cannot_be_without_an_earlier_item_is_found_with_it() -> None:
    # 40 does not apply without 12, so nothing is seen of it alone.
    found, tries = reduce(64, lambda part: {12, 40} <= part)
    assert found == {12, 40}
    assert tries <= 16


@given(st.sets(st.integers(0, 300)))
def test_a_name_stands_for_its_part(items: set[int]) -> None:
    part = tuple(sorted(items))
    assert subset.part_of(subset.name_of(part)) == part


def test_names_are_short() -> None:
    assert subset.name_of([0, 1, 2, 6]) == "1-3,7-7"
    assert subset.part_of("1-3,7") == (0, 1, 2, 6)
    for wrong in ("", "0", "3-1", "2,1", "1-2,2", "x"):
        with pytest.raises(ValueError, match=f"^{wrong}$"):
            subset.part_of(wrong)
