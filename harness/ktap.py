"""Takes lines of text, gives the KTAP results on them. Does not judge them.

Reads KTAP 1 and TAP 13/14: plans before or after, subtests nested by indentation.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from harness.job import KtapResult

PREFILTER = r"ok \d|not ok \d|KTAP version \d|TAP version \d|1\.\.\d"

_CAN_READ = re.compile(rf"[ \t]*(?:{PREFILTER})")
_VERSION = re.compile(r"(?P<indent>[ \t]*)K?TAP version \d")
_PLAN = re.compile(r"(?P<indent>[ \t]*)1\.\.(?P<count>\d+)(?:\s*#.*)?\s*$")
_RESULT = re.compile(
    r"(?P<indent>[ \t]*)(?P<not>not )?ok (?P<number>\d+)(?: -)?(?P<name>[^#]*)"
    r"(?:#\s*(?P<directive>\w+).*)?$"
)
# What a directive makes of "ok" and of "not ok"; one that is not here changes nothing.
_DIRECTIVES = {
    "SKIP": ("skip", "skip"),
    "TODO": ("pass", "skip"),
    "XFAIL": ("pass", "skip"),
    "TIMEOUT": ("fail", "fail"),
    "ERROR": ("fail", "fail"),
}


@dataclass(slots=True)
class _Level:
    """The tests at one depth of indentation, until their parent's own result closes them."""

    line: int
    planned: int | None = None
    seen: int = 0


class _Reader:
    """Collects results; those of subtests get their parent's name when it is known."""

    def __init__(self) -> None:
        self.results: list[tuple[int, KtapResult]] = []
        self.levels: dict[int, _Level] = {}

    def open(self, depth: int, line: int) -> None:
        """A version line: what was open at this depth is over, and new tests begin."""
        self.close(depth)
        self.levels[depth] = _Level(line)

    def plan(self, depth: int, line: int, count: int) -> None:
        """A plan: of tests to come, or of those just seen."""
        level = self.levels.setdefault(depth, _Level(line))
        if level.planned is not None:
            self.open(depth, line)
            level = self.levels[depth]
        level.planned = count

    def result(self, depth: int, result: KtapResult) -> None:
        """A result: everything deeper was its subtests."""
        self.close(depth + 1)
        # They stand last: whatever is deeper than its neighbour before is of the same parent.
        for at in range(len(self.results) - 1, -1, -1):
            nested, child = self.results[at]
            if nested <= depth:
                break
            named = msgspec.structs.replace(child, name=f"{result.name}.{child.name}")
            self.results[at] = (depth, named)
        self.results.append((depth, result))
        self.levels.setdefault(depth, _Level(result.line)).seen += 1

    def close(self, depth: int) -> None:
        """End every level from `depth` on, noting the tests that were planned and not seen."""
        for deeper in sorted((d for d in self.levels if d >= depth), reverse=True):
            level = self.levels.pop(deeper)
            planned = level.planned
            if planned is None:
                # KUnit leaves the plan out for parameterised tests, one level down. At the top
                # nothing else tells that the list is whole.
                planned = level.seen + 1 if deeper == 0 else level.seen
            for number in range(level.seen + 1, planned + 1):
                missing = KtapResult(name=f"#{number}", status="missing", line=level.line)
                self.results.append((deeper, missing))


def can_read(line: str) -> bool:
    """Whether a line may be one of KTAP's."""
    return bool(_CAN_READ.match(line))


def read(lines: Iterable[tuple[int, str]]) -> tuple[KtapResult, ...]:
    """Return the results on numbered lines, names of subtests joined by dots.

    `status` is pass, fail, skip, or missing: planned and not seen (a top level without any plan
    counts as one missing test). Without a version or plan line there is no KTAP: nothing.
    """
    reader = _Reader()
    has_header = False
    for line, text in lines:
        if match := _RESULT.match(text):
            reader.result(_depth(match), _result(match, line))
        elif match := _PLAN.match(text):
            has_header = True
            reader.plan(_depth(match), line, int(match["count"]))
        elif match := _VERSION.match(text):
            has_header = True
            reader.open(_depth(match), line)
    if not has_header:
        return ()
    reader.close(0)
    return tuple(result for _, result in reader.results)


def _depth(match: re.Match[str]) -> int:
    return len(match["indent"].expandtabs(2))


def _result(match: re.Match[str], line: int) -> KtapResult:
    outcomes = ("pass", "fail")
    directive = match["directive"]
    if directive:
        outcomes = _DIRECTIVES.get(directive.upper(), outcomes)
    name = match["name"].strip() or f"#{match['number']}"
    return KtapResult(name=name, status=outcomes[bool(match["not"])], line=line)
