"""Takes console lines and the rules in data/splats.toml, gives the kernel reports (`Splat`s).

Does not judge them, and knows nothing of guest records.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness import frames, patterns
from harness.errors import Outcome
from harness.job import Splat
from harness.lines import Block, Log, Piece
from harness.splat_rules import Rule, Rules, Start

# A report that never ends must not swallow the log, nor make it quadratic.
_MAX_LINES = 600

_TASK_END = re.compile(r"\s*</TASK>")
# A heading that stands alone is no trace.
_MIN_TRACE = 2
# Nobody reads more traces of which nothing is known.
_MAX_UNEXPLAINED = 100
# From the mildest to the worst: a report that grows worse while it is printed is the worse.
_SEVERITY = (Outcome.WARN, Outcome.HANG, Outcome.OOPS, Outcome.PANIC)


@dataclass(slots=True)
class _Report:
    """A report while it is read."""

    start: Start
    outcome: Outcome
    places: list[tuple[int, int]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    has_trace: bool = False
    is_in_trace: bool = False
    is_complete: bool = False

    def absorb(self, start: Start) -> None:
        """Take the start of another report as part of this one."""
        if start.rule.rank > self.start.rule.rank:
            self.start = start
        self.outcome = max(self.outcome, start.rule.outcome, key=_SEVERITY.index)

    def add(self, text: str) -> None:
        """Take a line, and the call on it if it is of the report's first call trace."""
        self.texts.append(text)
        if frames.is_heading(text):
            self.is_in_trace = not self.has_trace
            self.has_trace = True
            return
        call = frames.call(text)
        if call and not self.has_trace and self._can_begin_trace(call):
            self.is_in_trace = self.has_trace = True
        if self.is_in_trace:
            if call and not call.is_guess:
                self.calls.append(call.func)
            self.is_in_trace = bool(call or frames.is_between(text))

    def _can_begin_trace(self, call: frames.Call) -> bool:
        """Tell whether a trace may have no heading here. Elsewhere old kernels list lock chains."""
        return call.names_caller or (call.has_address and self.start.rule.end == "trace")


class Reports:
    """The reports on a log that comes in blocks."""

    def __init__(self, log: Log, rules: Rules) -> None:
        self._log = log
        self._rules = rules
        self._known: dict[tuple[int, int], Start] = {}
        self._taken: set[tuple[int, int]] = set()
        self._is_explained = False
        self._is_harmless = False
        self._unexplained: list[Splat] = []

    def begin(self, piece: Piece, start: Start) -> None:
        """Note where a report begins: in the order of the log, in the block to come."""
        self._known[piece.row, piece.place] = start

    def go_on(self, block: Block) -> Iterator[Splat]:
        """Take in a block; yield the reports that no later one can add to."""
        if self._known:
            self._log.add(block)
            yield from self._read(self._log.last - _MAX_LINES)

    def finish(self) -> Iterator[Splat]:
        """Yield what is left, as far as it got; traces of no report if there is nothing else."""
        yield from self._read(self._log.last)
        if not (self._is_explained or self._is_harmless):
            yield from self._unexplained

    def _read(self, upto: int) -> Iterator[Splat]:
        for at in [place for place in self._known if place[0] <= upto]:
            if at not in self._taken:
                rule = self._known[at].rule
                report = _read(self._log, at, self._known, self._rules.ends)
                self._taken.update(report.places)
                splat = _splat(report, self._log.line(at[0]), self._rules)
                if not rule.is_last:
                    self._is_explained = True
                    yield splat
                else:
                    self._hold(rule, splat)
            del self._known[at]
        first = next(iter(self._known), (self._log.last + 1, 0))
        self._taken = {place for place in self._taken if place >= first}
        self._log.drop(first[0])

    def _hold(self, rule: Rule, splat: Splat) -> None:
        """Keep what counts only for want of better."""
        if splat.outcome is Outcome.PASS:
            self._is_harmless = True
        elif rule.end == "line" or len(splat.frames) >= _MIN_TRACE:
            self._unexplained = [*self._unexplained, splat][:_MAX_UNEXPLAINED]


def _read(
    log: Log, at: tuple[int, int], known: dict[tuple[int, int], Start], ends: dict[str, str]
) -> _Report:
    """Read the report that begins at `at` to its end, or as far as it got."""
    rule = known[at].rule
    report = _Report(known[at], rule.outcome)
    for piece in _stream(log, at):
        place = (piece.row, piece.place)
        inner = known.get(place)
        if place != at and inner and not inner.rule.is_last:
            if inner.rule.family not in rule.absorbs:
                break
            report.absorb(inner)
        if _ends_before(report, piece) or piece.text.startswith(("harness: ", "Linux version ")):
            break
        report.places.append(place)
        report.add(piece.text)
        if _ends_with(rule, piece.text, ends):
            report.is_complete = True
            break
    return report


def _stream(log: Log, at: tuple[int, int]) -> Iterator[Piece]:
    """Yield the pieces from `at` on that the same thread or CPU printed."""
    whose: tuple[bool, str | None] = (True, None)
    for row in range(at[0], min(at[0] + _MAX_LINES, log.last) + 1):
        for piece in log.pieces(row):
            if (row, piece.place) == at:
                whose = (piece.is_kernel, piece.caller)
            if (row, piece.place) >= at and (piece.is_kernel, piece.caller) == whose:
                yield piece


def _ends_before(report: _Report, piece: Piece) -> bool:
    """Tell whether `piece` is the first after the trace of a report that its trace ends."""
    if report.start.rule.end != "stack" or not report.has_trace:
        return False
    report.is_complete = not (frames.call(piece.text) or frames.is_between(piece.text))
    return report.is_complete


def _ends_with(rule: Rule, text: str, ends: dict[str, str]) -> bool:
    if rule.end == "line":
        return True
    if rule.end == "stack":
        return bool(_TASK_END.match(text))
    return bool(patterns.compiled(ends[rule.end]).match(text))


def _splat(report: _Report, line: int, rules: Rules) -> Splat:
    rule, match = report.start
    groups = {name: text or "" for name, text in match.groupdict().items()}
    title = rule.title.format_map(groups)
    func = _function_at_fault(report, rules)
    if func:
        title = f"{title} in {func}"
    title = patterns.replace(rules.scrub, title)
    return Splat(
        kind=rule.kind,
        outcome=report.outcome,
        title=title.strip(),
        frames=tuple(map(rules.plain, report.calls)),
        lines=tuple(report.texts),
        line=line,
        is_complete=report.is_complete,
    )


def _function_at_fault(report: _Report, rules: Rules) -> str | None:
    """Return the first function that is no machinery; failing that, the best there is."""
    named: str | None = None
    waiting: str | None = None
    for place in report.start.rule.where:
        for func in map(rules.plain, _candidates(report, place)):
            if patterns.compiled(rules.reporting).fullmatch(func):
                named = func if place == "start" else named
            elif place != "start" and patterns.compiled(rules.waiting).fullmatch(func):
                waiting = waiting or func
            else:
                return func
    return waiting or named


def _candidates(report: _Report, place: str) -> Iterable[str]:
    if place == "frames":
        return report.calls
    if place == "start":
        found = report.start.match.groupdict().get("func")
        return (found,) if found else ()
    if place == "pc":
        counters = (frames.counter(text) for text in report.texts)
        return [func for func in counters if func][:1]
    match = patterns.compiled(place).search("\n".join(report.texts))
    return (match["func"],) if match else ()
