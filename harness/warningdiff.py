"""Takes the warnings of two kernels, gives those that are new and those that are gone. Pure.

They are told by identity, as a multiset: a line that moves is no news, the same once more is.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from harness.job import CompilerWarning

Key = tuple[str, str, str, str]


def compare(
    before: Sequence[CompilerWarning], after: Sequence[CompilerWarning]
) -> tuple[list[CompilerWarning], list[CompilerWarning], int]:
    """Return (new, fixed, how many are in both).

    What is gone from one file and new in another, word for word, has moved with its code.
    """
    new, fixed = _without(after, before), _without(before, after)
    moved = Counter(map(_anywhere, new)) & Counter(map(_anywhere, fixed))
    new, fixed = _less(new, moved), _less(fixed, moved)
    return new, fixed, len(after) - len(new)


def _without(
    found: Iterable[CompilerWarning], known: Iterable[CompilerWarning]
) -> list[CompilerWarning]:
    left = Counter(each.key for each in known)
    rest = []
    for each in found:
        if left[each.key]:
            left[each.key] -= 1
        else:
            rest.append(each)
    return rest


def _anywhere(warning: CompilerWarning) -> tuple[str, str, str]:
    _, flag, message, function = warning.key
    return flag, message, function


def _less(
    found: Iterable[CompilerWarning], moved: Counter[tuple[str, str, str]]
) -> list[CompilerWarning]:
    left = Counter(moved)
    rest = []
    for each in found:
        if left[_anywhere(each)]:
            left[_anywhere(each)] -= 1
        else:
            rest.append(each)
    return rest
