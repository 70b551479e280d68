"""Which commits of a range can matter: real git, no kernel."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from conftest import commit, git

from harness import bisect_history
from harness.errors import UsageError

SOURCES = ("fs/a.c", "include/a.h")
FILES = ("fs/a.c", "fs/b.c", "include/a.h", "include/b.h", "net/c.c", "samples/s.c", "README")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    path = tmp_path / "linux"
    for name in FILES:
        write(path, name, "first")
    git(path, "init", "-q", "-b", "main")
    commit(path, "first")
    git(path, "tag", "start")
    return path


def write(clone: Path, name: str, text: str) -> None:
    path = clone / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def change(clone: Path, *names: str) -> str:
    """Commit a change of these files."""
    for name in names:
        write(clone, name, f"{name} after {git(clone, 'rev-parse', 'HEAD')}")
    return commit(clone, f"change {' '.join(names)}")


def mattering(
    clone: Path, old: Iterable[str] = SOURCES, new: Iterable[str] = SOURCES
) -> frozenset[str]:
    return bisect_history.mattering(bisect_history.read(clone, "start", "main"), [old, new])


def test_what_is_not_compiled_does_not_matter(clone: Path) -> None:
    compiled = [change(clone, name) for name in SOURCES]
    for name in FILES[-1:] + tuple({*FILES[:-1]} - {*SOURCES}):
        change(clone, name)
    both = change(clone, "net/c.c", "fs/a.c")
    assert mattering(clone) == {*compiled, both}


def test_a_sample_matters_where_it_is_compiled(clone: Path) -> None:
    made = change(clone, "samples/s.c")
    assert mattering(clone) == set()
    assert mattering(clone, new=(*SOURCES, "samples/s.c")) == {made}


@pytest.mark.parametrize(
    "name", ["net/Makefile", "net/Kconfig.debug", "samples/Kconfig", "scripts/x.c", "lib/t.txt"]
)
def test_what_decides_how_to_build_always_matters(clone: Path, name: str) -> None:
    made = change(clone, name)
    assert made in mattering(clone)


def test_code_matters_where_it_is_decided_anew_what_is_compiled(clone: Path) -> None:
    beside, rule = change(clone, "net/c.c"), change(clone, "net/Makefile")
    change(clone, "fs/b.c")
    assert mattering(clone) == {beside, rule}


def test_code_that_the_new_end_has_under_another_name_matters(clone: Path) -> None:
    # Another commit may have included it for the first time before it broke it.
    broken = change(clone, "include/b.h")
    git(clone, "mv", "include/b.h", "include/c.h")
    moved = commit(clone, "rename")
    assert mattering(clone) == {broken, moved}


def test_headers_matter_where_an_end_does_not_build(clone: Path) -> None:
    # What the old end was compiled from says nothing of what a later commit includes.
    change(clone, "net/c.c")
    header = change(clone, "include/b.h")
    change(clone, "README")
    assert mattering(clone, new=()) == {header}
    assert mattering(clone, old=()) == {header}


def test_all_code_matters_where_an_end_does_not_build_and_compiles_something_else(
    clone: Path,
) -> None:
    code = {change(clone, name) for name in ("net/c.c", "include/b.h")}
    rule = change(clone, "fs/Kconfig")
    change(clone, "Documentation/x.rst")
    assert mattering(clone, new=()) == {*code, rule}
    assert mattering(clone) == {rule}


def test_a_merge_matters(clone: Path) -> None:
    git(clone, "checkout", "-q", "-b", "side")
    change(clone, "README")
    git(clone, "checkout", "-q", "main")
    change(clone, "net/c.c")
    git(clone, "merge", "-q", "--no-ff", "--no-edit", "side")
    assert mattering(clone) == {git(clone, "rev-parse", "main")}


def test_an_end_on_another_branch_gives_way_to_the_merge_base(clone: Path) -> None:
    git(clone, "checkout", "-q", "-b", "side")
    change(clone, "net/c.c")
    git(clone, "checkout", "-q", "main")
    made = change(clone, "fs/a.c")
    found = bisect_history.read(clone, "side", "main")
    assert found.is_merge_base
    assert found.old == git(clone, "rev-parse", "start")
    assert [each.name for each in found.commits] == [made]
    with pytest.raises(UsageError, match="is an ancestor of"):
        bisect_history.read(clone, "main", "start")
