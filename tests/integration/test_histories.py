"""Histories of real kernels, bisected: the right commit, for the right reason."""

import json

import histories
import pytest
from conftest import Harness
from histories import HISTORIES, Clone, History

from harness import paths
from harness.store import Store

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def clone() -> Clone:
    """One clone for all, so that all kernels are built in one worktree."""
    return Clone(Store(paths.cache_dir()))


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(each, id=each.name, marks=[pytest.mark.slow] if each.is_slow else [])
        for each in HISTORIES
    ],
)
def test_the_commit_is_found(history: History, clone: Clone, harness: Harness) -> None:
    commits = clone.add(history)
    old = commits[0] if history.fixed else clone.base
    good, bad = (commits[-1], old) if history.fixed else (old, commits[-1])
    done = harness(
        "bisect", "--json", "--tree", clone.path, "--good", good, "--bad", bad,
        *history.job, *history.question,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["first_bad"]["commit"] == commits[history.culprit]
    assert found["signature"].startswith(history.signature)
    assert found["confidence"] >= 0.99
    # Two in three commits are documentation or not compiled.
    assert found["relevant"] <= found["total"] / 2
    assert found["relevant"] < len([c for c in history.changes if c.file != histories.DRIVER])
