"""Takes console lines and the rules in data/splats.toml, gives the kernel reports (`Splat`s).

Does not judge them, and knows nothing of guest records.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from harness.errors import Outcome
from harness.job import Splat
from harness.lines import Block, Log, Piece

# A report that never ends must not swallow the log, nor make it quadratic.
_MAX_LINES = 600

_FRAME = re.compile(
    r"(?:kmemleak: )?\s*(?P<address>\[<[0-9a-f]+>\] )?(?P<guess>\? )?"
    r"(?P<func>[A-Za-z_.$][\w.$]*)\+0x[0-9a-f]+/0x[0-9a-f]+"
)
_TRACE = re.compile(r"Call [Tt]race:|(?:kmemleak: )?\s*backtrace \(crc ")
_IN_TRACE = re.compile(
    r"\s*(?:</?[A-Z#]+>|R[A-Z0-9]{2}: |ORIG_RAX|EFLAGS|Code: |[FCGDE][SRFP]\w?[:0-9]"
    r"|\[<[0-9a-f]+>\]|0x[0-9a-f]+|\? )"
)
_TASK_END = re.compile(r"\s*</TASK>")
_PC = re.compile(r"\s*(?:RIP: \w+:|e?pc : )(?P<func>[A-Za-z_.$][\w.$]*)\+0x")
_SUFFIX = re.compile(r"(?:\.(?:isra|constprop|part|cold|llvm|lto_priv)(?:\.\d+)*)+$")
_SYSCALL = re.compile(r"^__(?:x64|ia32|arm64|riscv|se|do)_sys_")
_NAMED_GROUP = re.compile(r"\(\?P<\w+>")
# From the mildest to the worst: a report that grows worse while it is printed is the worse.
_SEVERITY = (Outcome.WARN, Outcome.HANG, Outcome.OOPS, Outcome.PANIC)


# A clean console needs none of the rules' expressions, so each is compiled at its first use.
_compiled = cache(re.compile)


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of report; splats.toml says what the fields mean. Expressions are source text."""

    name: str
    kind: str
    outcome: Outcome
    start: str
    title: str
    where: tuple[str, ...]
    end: str
    absorbs: frozenset[str]
    rank: int


class Start(NamedTuple):
    """A rule and how its `start` matched."""

    rule: Rule
    match: re.Match[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """splats.toml.

    `prefilter` is the start of any rule, as regex source; lines that a start with a needle
    matches are found by its needle alone.
    """

    rules: tuple[Rule, ...]
    prefilter: str
    needles: tuple[str, ...]
    ends: dict[str, str]
    reporting: str
    waiting: str
    scrub: tuple[tuple[str, str], ...]

    def first_match(self, text: str) -> Start | None:
        """Return the first rule that the text of a kernel line starts."""
        for rule in self.rules:
            match = _compiled(rule.start).match(text)
            if match:
                return Start(rule, match)
        return None


def read_rules(data: Mapping[str, Any]) -> Rules:
    """Read splats.toml, parsed. A malformed one raises whatever comes first: it is ours."""
    rows = data["rule"]
    heads = (_NAMED_GROUP.sub("(?:", row["start"]) for row in rows if "needle" not in row)
    return Rules(
        rules=tuple(
            Rule(
                name=row["name"],
                kind=row["kind"],
                outcome=Outcome(row["outcome"]),
                start=row["start"],
                title=row["title"],
                where=tuple(row.get("where", ("start", "pc", "frames"))),
                end=row["end"],
                absorbs=frozenset(row.get("absorbs", ())),
                rank=row.get("rank", 0),
            )
            for row in rows
        ),
        prefilter="|".join(heads),
        needles=tuple(row["needle"] for row in rows if "needle" in row),
        ends=data["ends"],
        reporting="|".join(f"(?:{source})" for source in data["skip"]["reporting"]),
        waiting="|".join(f"(?:{source})" for source in data["skip"]["waiting"]),
        scrub=tuple((source, into) for source, into in data["scrub"]["replace"]),
    )


@cache
def load_rules() -> Rules:
    """Return the rules that ship with the tool."""
    # Only who parses a console pays for these.
    import tomllib  # noqa: PLC0415
    from importlib import resources  # noqa: PLC0415

    text = resources.files("harness").joinpath("data/splats.toml").read_text(encoding="utf-8")
    return read_rules(tomllib.loads(text))


@dataclass(slots=True)
class _Report:
    """A report while it is read."""

    start: Start
    outcome: Outcome
    places: list[tuple[int, int]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    has_trace: bool = False
    is_in_trace: bool = False
    is_complete: bool = False

    def absorb(self, start: Start) -> None:
        """Take the start of another report as part of this one."""
        if start.rule.rank > self.start.rule.rank:
            self.start = start
        self.outcome = max(self.outcome, start.rule.outcome, key=_SEVERITY.index)

    def add(self, text: str) -> None:
        """Take a line, and the frame on it if it is of the report's first call trace."""
        self.texts.append(text)
        if _TRACE.match(text):
            self.is_in_trace = not self.has_trace
            self.has_trace = True
            return
        frame = _FRAME.match(text)
        # riscv64 puts no heading over the trace of an oops.
        if frame and frame["address"] and not self.has_trace:
            self.is_in_trace = self.has_trace = True
        if self.is_in_trace:
            if frame and not frame["guess"]:
                self.frames.append(_plain(frame["func"]))
            self.is_in_trace = bool(frame or _IN_TRACE.match(text))


class Reports:
    """The reports on a log that comes in blocks."""

    def __init__(self, log: Log, rules: Rules) -> None:
        self._log = log
        self._rules = rules
        self._known: dict[tuple[int, int], Start] = {}
        self._taken: set[tuple[int, int]] = set()

    def begin(self, piece: Piece, start: Start) -> None:
        """Note where a report begins: in the order of the log, in the block to come."""
        self._known[piece.row, piece.place] = start

    def go_on(self, block: Block) -> Iterator[Splat]:
        """Take in a block; yield the reports that no later one can add to."""
        if self._known:
            self._log.add(block)
            yield from self._read(self._log.last - _MAX_LINES)

    def finish(self) -> Iterator[Splat]:
        """Yield what is left, as far as it got."""
        yield from self._read(self._log.last)

    def _read(self, upto: int) -> Iterator[Splat]:
        for at in [place for place in self._known if place[0] <= upto]:
            if at not in self._taken:
                report = _read(self._log, at, self._known, self._rules.ends)
                self._taken.update(report.places)
                yield _splat(report, self._log.line(at[0]), self._rules)
            del self._known[at]
        first = next(iter(self._known), (self._log.last + 1, 0))
        self._taken = {place for place in self._taken if place >= first}
        self._log.drop(first[0])


def _read(
    log: Log, at: tuple[int, int], known: dict[tuple[int, int], Start], ends: dict[str, str]
) -> _Report:
    """Read the report that begins at `at` to its end, or as far as it got."""
    rule = known[at].rule
    report = _Report(known[at], rule.outcome)
    for piece in _stream(log, at):
        place = (piece.row, piece.place)
        inner = known.get(place)
        if place != at and inner:
            if inner.rule.kind not in rule.absorbs:
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
    """Yield the kernel's pieces from `at` on that the same thread or CPU printed."""
    caller: str | None = None
    for row in range(at[0], min(at[0] + _MAX_LINES, log.last) + 1):
        for piece in log.pieces(row):
            if (row, piece.place) == at:
                caller = piece.caller
            if (row, piece.place) >= at and piece.is_kernel and piece.caller == caller:
                yield piece


def _ends_before(report: _Report, piece: Piece) -> bool:
    """Tell whether `piece` is the first after the trace of a report that its trace ends."""
    if report.start.rule.end != "stack" or not report.has_trace:
        return False
    report.is_complete = not (_FRAME.match(piece.text) or _IN_TRACE.match(piece.text))
    return report.is_complete


def _ends_with(rule: Rule, text: str, ends: dict[str, str]) -> bool:
    if rule.end == "line":
        return True
    if rule.end == "stack":
        return bool(_TASK_END.match(text))
    return bool(_compiled(ends[rule.end]).match(text))


def _plain(func: str) -> str:
    """Return a function's name as its source has it: no compiler suffix, no syscall wrapper."""
    return _SYSCALL.sub("sys_", _SUFFIX.sub("", func))


def _splat(report: _Report, line: int, rules: Rules) -> Splat:
    rule, match = report.start
    groups = {name: text or "" for name, text in match.groupdict().items()}
    title = rule.title.format_map(groups)
    func = _function_at_fault(report, rules)
    if func:
        title = f"{title} in {func}"
    for pattern, into in rules.scrub:
        title = _compiled(pattern).sub(into, title)
    return Splat(
        kind=rule.kind,
        outcome=report.outcome,
        title=title.strip(),
        frames=tuple(report.frames),
        lines=tuple(report.texts),
        line=line,
        is_complete=report.is_complete,
    )


def _function_at_fault(report: _Report, rules: Rules) -> str | None:
    """Return the first function that is no machinery; failing that, the best there is."""
    named: str | None = None
    waiting: str | None = None
    for place in report.start.rule.where:
        for func in map(_plain, _candidates(report, place)):
            if _compiled(rules.reporting).fullmatch(func):
                named = func if place == "start" else named
            elif place != "start" and _compiled(rules.waiting).fullmatch(func):
                waiting = waiting or func
            else:
                return func
    return waiting or named


def _candidates(report: _Report, place: str) -> Iterable[str]:
    if place == "frames":
        return report.frames
    if place == "start":
        found = report.start.match.groupdict().get("func")
        return (found,) if found else ()
    if place == "pc":
        counters = (_PC.match(text) for text in report.texts)
        return [match["func"] for match in counters if match][:1]
    match = _compiled(place).search("\n".join(report.texts))
    return (match["func"],) if match else ()
