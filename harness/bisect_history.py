"""Takes a clone and two revisions, gives the commits between them, and which of them can matter.

A commit that touches only files that the kernel is not compiled from builds the same kernel as its
parent. What cannot be told is held to matter.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import msgspec

from harness import gitrepo
from harness.errors import UsageError

# No field of a commit has a NUL.
_MARK = "\0\x01\0"
# Never part of a kernel.
_NEVER = ("Documentation/", "samples/", "LICENSES/", "tools/testing/", "tools/perf/", ".github/")
_NEVER_NAMES = frozenset({"MAINTAINERS", "CREDITS", "COPYING", "README", ".mailmap", ".gitignore"})
_CODE = frozenset({".c", ".h", ".S", ".rs", ".dts", ".dtsi"})
_HEADERS = frozenset({".h"})
_RULES = frozenset({"Makefile", "Kbuild"})
# What builds a kernel is no source of it.
_HOST = ("scripts", "tools")
# Who wants to hear of a regression (Documentation/admin-guide/reporting-regressions.rst).
_PEOPLE = ("Signed-off-by", "Reviewed-by", "Acked-by", "Tested-by")
_PERSON = re.compile(r"[^<>]*<([^<>\s]+@[^<>\s]+)>")
# The last part of a link to a mail archive is the mail's id.
_MESSAGE = re.compile(r"([^/\s<>@]+@[^/\s<>@]+?)[/>]*$")


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

    `old` is what was named, or the merge base where that is no ancestor of the new end. `gone` are
    the files that a commit changes and the new end does not have.
    """

    old: str
    new: str
    commits: tuple[Listed, ...]
    is_merge_base: bool = False
    gone: tuple[str, ...] = ()


class About(msgspec.Struct, frozen=True, kw_only=True):
    """A commit as a report of it needs it: `people` signed, reviewed or tested it.

    `message_id` is of the mail that it was sent in, if its message links to that.
    """

    author: str
    date: str
    people: tuple[str, ...]
    message_id: str | None
    stat: str


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
        "--format=%x00%x01%x00%H%x00%P%x00%s%x00", ends[1], f"^{base}", "--",
    ]  # fmt: skip
    done = gitrepo.read_clone(clone, argv)
    if done.returncode != 0:
        words = done.error_text.splitlines() or ["git gave no reason"]
        raise UsageError(
            f"the commits between {old} and {new} cannot be read in {clone}: {words[-1]}",
            hint=f"`git -C {clone} fetch --refetch --no-filter` makes a partial clone whole",
        )
    commits = tuple(_listed(part) for part in done.text.split(_MARK) if part.strip())
    listed = gitrepo.read_clone(clone, ["ls-tree", "-r", "-z", "--name-only", ends[1], "--"])
    gone = {file for commit in commits for file in commit.files} - set(listed.text.split("\0"))
    return Range(
        old=base, new=ends[1], commits=commits,
        is_merge_base=base != ends[0], gone=tuple(sorted(gone)),
    )  # fmt: skip


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


def about(clone: Path, commit: str) -> About:
    """Return who made a commit, and what it changes."""
    keys = ",".join(f"key={key}" for key in _PEOPLE)
    form = (
        f"--format=%an <%ae>%x00%ad%x00%(trailers:{keys},valueonly)%x00"
        "%(trailers:key=Link,key=Message-ID,valueonly)%x00"
    )
    argv = ["show", "--stat=80", form, "--date=iso-strict", commit, "--"]
    text = gitrepo.read_clone(clone, argv).text
    author, date, people, links, stat = text.split("\0", 4)
    # The last one is of who took the patch; those before it may be of a bug's report.
    found = [_MESSAGE.search(line) for line in reversed(links.splitlines())]
    return About(
        author=author,
        date=date,
        people=_people(people.splitlines(), author),
        message_id=next((unquote(match[1]) for match in found if match), None),
        stat=stat.strip("\n"),
    )


def _people(lines: Sequence[str], author: str) -> tuple[str, ...]:
    """Return each who can be written to once, less the author and what trailers add to a name."""
    found: dict[str, str] = {}
    for line in lines:
        if match := _PERSON.match(line):
            found.setdefault(match[1].lower(), match[0])
    return tuple(name for address, name in found.items() if f"<{address}>" not in author.lower())


def mattering(between: Range, ends: Sequence[Iterable[str]]) -> frozenset[str]:
    """Return the names of the commits that can change the kernel.

    `ends` has for either end the files of the tree that it was compiled from, none if it does not
    build: then it may be any header, and if it is decided anew what is compiled, any code.
    """
    known = frozenset(file for sources in ends for file in sources)
    # Where it was decided what is compiled, anything may have been for a while.
    opened = {
        str(PurePosixPath(file).parent)
        for commit in between.commits
        for file in commit.files
        if _is_rule(file)
    }
    unknown: frozenset[str] = frozenset()
    if not all(map(any, ends)):
        unknown = _CODE if opened or not known else _HEADERS
    gone = frozenset(between.gone)

    def matters(file: str) -> bool:
        path = PurePosixPath(file)
        if file in known or _is_rule(file):
            return True
        if file.startswith(_NEVER) or path.name in _NEVER_NAMES:
            return False
        if path.suffix in unknown or path.suffix not in _CODE or path.parts[0] in _HOST:
            return True
        # What has been renamed may have been included for the first time before that.
        return file in gone or any(str(folder) in opened for folder in path.parents)

    return frozenset(
        commit.name
        for commit in between.commits
        if len(commit.parents) != 1 or any(map(matters, commit.files))
    )


def _is_rule(file: str) -> bool:
    name = PurePosixPath(file).name
    return name in _RULES or name.startswith("Kconfig")
