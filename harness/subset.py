"""Takes what parts of a list came to, gives the smallest part that shows a finding, or what to try.

Pure. All of the list shows it, and none of it does not. The answer is minimal as delta debugging
has it: it was tried and shows the finding, and less any one of its items it was tried and does not.
Each item is found by halves of what stands before it, so that what needs an earlier item has it.
"""

import re
from collections.abc import Generator, Mapping, Sequence

import msgspec

NONE = "none"
_PART = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")

Part = tuple[int, ...]
"""Indexes into the list, ascending."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Where a search is: the part to try next, or the answer."""

    ask: str | None = None
    found: Part | None = None


def name_of(part: Sequence[int]) -> str:
    """Return the numbers of the items, from 1: `1-3,7-7`; `none` of no item."""
    runs: list[list[int]] = []
    for index in part:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(f"{low + 1}-{high + 1}" for low, high in runs) or NONE


def part_of(name: str) -> Part:
    """Return the part that a name stands for; a number alone is that item.

    Raises:
        ValueError: it stands for none.
    """
    if name == NONE:
        return ()
    found: list[int] = []
    for word in name.split(","):
        match = _PART.fullmatch(word)
        if match is None:
            raise ValueError(name)
        found += range(int(match[1]) - 1, int(match[2] or match[1]))
    if not found or found[0] < 0 or found != sorted(set(found)):
        raise ValueError(name)
    return tuple(found)


def step(count: int, known: Mapping[str, bool]) -> Step:
    """Return where the search is; `known` says of a part's name whether it shows the finding."""
    known = {**known, NONE: False, name_of(range(count)): True}
    walk = _search(count)
    part = next(walk)
    try:
        while (told := known.get(name_of(part))) is not None:
            part = walk.send(told)
    except StopIteration as end:
        return Step(found=end.value)
    return Step(ask=name_of(part))


def _search(count: int) -> Generator[Part, bool, Part]:
    kept: list[int] = []
    pool = list(range(count))
    while not (yield _with(kept)):
        # It shows with all of the pool, and not with none of it.
        low, high = 0, len(pool)
        while high - low > 1:
            middle = (low + high) // 2
            if (yield _with(kept, pool[:middle])):
                high = middle
            else:
                low = middle
        kept.append(pool[high - 1])
        del pool[high - 1 :]
    return (yield from _without_needless(kept))


def _without_needless(kept: list[int]) -> Generator[Part, bool, Part]:
    """Drop what was only needed for others that are not there any more."""
    again = True
    while again:
        again = False
        for index in sorted(kept):
            less = [each for each in kept if each != index]
            if (yield _with(less)):
                kept, again = less, True
    return _with(kept)


def _with(kept: Sequence[int], more: Sequence[int] = ()) -> Part:
    return tuple(sorted([*kept, *more]))
