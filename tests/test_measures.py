"""Medians, their intervals, and what chance explains."""

import random

import pytest

from harness import measures


def test_six_samples_hold_the_median_between_the_outermost() -> None:
    found = measures.interval([5.0, 1.0, 2.0, 4.0, 3.0, 9.0])
    assert (found.median, found.low, found.high, found.samples) == (3.5, 1.0, 9.0, 6)


def test_more_samples_make_the_interval_narrower_than_their_range() -> None:
    found = measures.interval([float(number) for number in range(20)])
    assert (found.low, found.median, found.high) == (5.0, 9.5, 14.0)


def test_the_interval_holds_the_true_median_as_often_as_it_says() -> None:
    draw = random.Random(1)  # noqa: S311 - no secret
    hits = 0
    for _ in range(1000):
        found = measures.interval([draw.gauss(0, 1) for _ in range(9)])
        hits += found.low <= 0 <= found.high
    assert hits >= 940


def test_samples_apart_are_no_chance_and_samples_among_another_are() -> None:
    assert measures.chance([1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]) == pytest.approx(2 / 924)
    assert measures.chance([1, 3, 5, 7, 9, 11], [2, 4, 6, 8, 10, 12]) > 0.5
    assert measures.chance([4.0] * 6, [4.0] * 6) == 1.0
    assert measures.chance([4.0] * 6, [5.0] * 6) < 0.01


def test_equal_kinds_are_told_apart_as_seldom_as_is_meant() -> None:
    draw = random.Random(2)  # noqa: S311 - no secret
    told = sum(
        measures.chance([draw.random() for _ in range(6)], [draw.random() for _ in range(6)]) < 0.01
        for _ in range(300)
    )
    assert told <= 9
