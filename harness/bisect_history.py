"""Takes a clone and two revisions, gives the commits between them, and which of them can matter.

A commit that touches only files that the kernel is not compiled from builds the same kernel as its
parent. What cannot be told is held to matter.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from harness import gitrepo
from harness.errors import UsageError

_MARK = "\x01"
# Never part of a kernel.
_NEVER = ("Documentation/", "samples/", "LICENSES/", "tools/testing/", "tools/perf/", ".github/")
_NEVER_NAMES = frozenset({"MAINTAINERS", "CREDITS", "COPYING", "README", ".mailmap", ".gitignore"})
_CODE = frozenset({".c", ".h", ".S", ".rs", ".dts", ".dtsi"})
_RULES = frozenset({"Makefile", "Kbuild"})


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of the range: its parents, subject, and the files that it changes.

    Of a merge those are the ones that it has from no parent.
    """

    name: str
    parents: tuple[str, ...]
    subject: str
    files: tuple[str, ...]


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The commits that the new end has and the old one has not, parents before children.

    `old` is what was named, or the merge base where that is no ancestor of the new end.
    """

    old: str
    new: str
    commits: tuple[Listed, ...]
    is_merge_base: bool = False


def read(clone: Path, old: str, new: str) -> Range:
    """Return the range between two revisions.

    Raises:
        UsageError: one is not there, they have nothing in common, or there is none between.
    """
    ends = [_commit(clone, rev, option) for rev, option in ((old, "--good"), (new, "--bad"))]
    base = gitrepo.read_clone(clone, ["merge-base", *ends]).text
    if not base:
        raise UsageError(f"{old} and {new} have no commit in common in {clone}")
    if base == ends[1]:
        raise UsageError(
            f"{new} is an ancestor of {old}, so there is nothing between them",
            hint="--find fixed looks for the commit that repairs: --bad is the older one then",
        )
    argv = [
        "log", "--topo-order", "--reverse", "-c", "--name-only", "--no-renames",
        f"--format={_MARK}%H%x00%P%x00%s%x00", ends[1], f"^{base}", "--",
    ]  # fmt: skip
    done = gitrepo.read_clone(clone, argv)
    commits = tuple(_listed(part) for part in done.text.split(_MARK) if part.strip())
    return Range(old=base, new=ends[1], commits=commits, is_merge_base=base != ends[0])


def _listed(text: str) -> Listed:
    name, parents, subject, files = text.split("\0", 3)
    return Listed(
        name=name,
        parents=tuple(parents.split()),
        subject=subject,
        files=tuple(line for line in files.splitlines() if line),
    )


def _commit(clone: Path, rev: str, option: str) -> str:
    argv = ["rev-parse", "--quiet", "--verify", "--end-of-options", f"{rev}^{{commit}}"]
    found = gitrepo.read_clone(clone, argv).text
    if not found:
        raise UsageError(f"{option} {rev}: no such revision in {clone}")
    return found


def stat(clone: Path, commit: str) -> tuple[str, str, str]:
    """Return (author, date, diffstat) of a commit."""
    argv = ["show", "--stat=80", "--format=%an <%ae>%x00%ad%x00", "--date=iso-strict", commit, "--"]
    author, date, rest = gitrepo.read_clone(clone, argv).text.split("\0", 2)
    return author, date, rest.strip("\n")


def mattering(commits: Sequence[Listed], sources: Iterable[str]) -> frozenset[str]:
    """Return the names of the commits that can change the kernel.

    `sources` are the files of the tree that the kernels of both ends were compiled from; if there
    are none, every commit can.
    """
    known = frozenset(sources)
    if not known:
        return frozenset(commit.name for commit in commits)
    # Where it was decided what is compiled, anything may have been for a while.
    open_folders = {
        str(PurePosixPath(file).parent)
        for commit in commits
        for file in commit.files
        if _is_rule(file)
    }
    return frozenset(
        commit.name
        for commit in commits
        if len(commit.parents) != 1 or any(_matters(f, known, open_folders) for f in commit.files)
    )


def _is_rule(file: str) -> bool:
    name = PurePosixPath(file).name
    return name in _RULES or name.startswith("Kconfig")


def _matters(file: str, known: frozenset[str], open_folders: set[str]) -> bool:
    path = PurePosixPath(file)
    if file.startswith(_NEVER) or path.name in _NEVER_NAMES:
        return False
    if file in known or path.suffix not in _CODE or path.parts[0] in ("scripts", "tools"):
        return True
    return any(str(folder) in open_folders for folder in path.parents)
