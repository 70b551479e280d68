"""Takes folders, images and packages, gives the kernels in them in the order of their versions."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from harness import bisect_over, foreign, log, packages
from harness.arch import Arch
from harness.bisect_history import Listed, Range
from harness.bisect_state import Question, State
from harness.errors import UsageError
from harness.store import Store

# What a kernel is called in /boot, as make leaves it, and as packages of one are.
_NAMES = ("vmlinu*", "bzImage*", "Image*", "kernel*", "linux-*.deb", "kernel-*.rpm")
_VERSION = re.compile(
    r"(?P<major>\d+)\.(?P<minor>\d+)(?:\.(?P<patch>\d+))?(?:[-~]rc(?P<rc>\d+))?(?P<rest>.*)"
)
_NUMBERS = re.compile(r"(\d+)")
_FINAL = 1 << 30

Key = tuple[int, int, int, int, tuple[tuple[int, str], ...]]


def begin(question: Question, words: Sequence[str], arch: Arch, store: Store) -> State:
    """Return a bisect over kernels; the ends of the question are releases, "" the outermost.

    Raises:
        UsageError: there are not two, or an end is none of them.
        HostError: a package cannot be asked for, or not be unpacked.
    """
    found = listed(words, arch, store)
    if len(found) < 2:  # noqa: PLR2004 - two ends
        raise UsageError(
            f"a bisect needs two kernels, and there {'is one' if found else 'are none'} in "
            + ", ".join(words)
        )
    good, bad = ("--bad", "--good") if question.fixed else ("--good", "--bad")
    old = _end(found, question.old, good) if question.old else 0
    new = _end(found, question.new, bad) if question.new else len(found) - 1
    if new <= old:
        raise UsageError(
            f"{bad} {found[new].subject} is no later kernel than {good} {found[old].subject}",
            hint="--find fixed looks for the kernel that repairs: --bad is the older one then",
        )
    chain = [
        Listed(name=each.name, parents=(found[at].name,), subject=each.subject, files=())
        for at, each in enumerate(found[old + 1 : new + 1], old)
    ]
    between = Range(old=found[old].name, new=found[new].name, commits=tuple(chain))
    return bisect_over.start(question, between)


def _end(found: Sequence[Listed], word: str, option: str) -> int:
    at = [n for n, each in enumerate(found) if word in (each.subject, each.name)]
    at = at or [n for n, each in enumerate(found) if Path(each.name).name == word]
    if len(at) != 1:
        releases = ", ".join(each.subject for each in found)
        which = f"{len(at)} of the kernels are" if at else "none of the kernels is"
        raise UsageError(f"{option} {word}: {which} this one", hint=f"there are {releases}")
    return at[0]


def listed(words: Sequence[str], arch: Arch, store: Store) -> list[Listed]:
    """Return the kernels that the words name, from the oldest to the newest.

    A word is a folder, what --kernel takes, or `deb:PATTERN`. A kernel that is there twice is
    listed once. What a package holds is not looked at until it is tried.
    """
    found: dict[str, Listed] = {}
    for word in words:
        if word.startswith(packages.PREFIX):
            for name in _packages(word, arch, store):
                release = name.removeprefix(packages.PREFIX)
                found.setdefault(name, _listed(name, release))
        elif Path(word).is_dir():
            for path in sorted(Path(word).absolute().iterdir()):
                if path.is_file() and any(fnmatchcase(path.name, name) for name in _NAMES):
                    _add(found, str(path), arch, store, is_asked=False)
        else:
            _add(found, foreign.absolute(word), arch, store, is_asked=True)
    return sorted(found.values(), key=lambda each: (version_key(each.subject), each.name))


def _add(found: dict[str, Listed], word: str, arch: Arch, store: Store, *, is_asked: bool) -> None:
    try:
        kernel = foreign.find(word, arch, store)
    except UsageError as error:
        if is_asked:
            raise
        log.note(f"left out: {error.message}")
        return
    found.setdefault(kernel.digest, _listed(word, kernel.release))


def _listed(word: str, release: str) -> Listed:
    return Listed(name=word, parents=(), subject=release, files=())


def _packages(word: str, arch: Arch, store: Store) -> list[str]:
    name = word.removeprefix(packages.PREFIX)
    if not any(mark in name for mark in "*?["):
        return [word]
    found = packages.names(name, arch, store)
    if not found:
        raise UsageError(f"--kernels {word}: no suite has a package of such a name")
    return [f"{packages.PREFIX}{each}" for each in found]


def version_key(release: str) -> Key:
    """Return by what a release is ordered: 6.18-rc2 is before 6.18, and 6.9 before 6.10."""
    match = _VERSION.search(release)
    if match is None:
        return (0, 0, 0, 0, _natural(release))
    rc = int(match["rc"]) if match["rc"] else _FINAL
    return (
        int(match["major"]), int(match["minor"]), int(match["patch"] or 0), rc,
        _natural(match["rest"]),
    )  # fmt: skip


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in _NUMBERS.split(text) if part
    )
