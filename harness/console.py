"""Takes the bytes of one boot's console, gives what is on it: records, splats, KTAP, banners.

Pure: no I/O but the tool's own rules, no clock. It judges nothing; `verdict` does. A log of any
size takes a bounded amount of memory: only lines that matter are kept.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from harness import ktap, lines, params, splat_rules, splats
from harness.job import Console, Observation, Record, Splat
from harness.lines import Block, Piece, Row

_RECORD = re.compile(
    r"harness: (?P<nonce>\S+) (?P<seq>\d+) (?:"
    r"(?P<begin>begin) (?P<facts>\S.*)"
    r"|(?P<step>step) (?P<thing>[^\s=]+)"
    r"|(?P<observe>observe) (?P<name>[^\s=]+)=(?P<value>\S*)"
    r"|(?P<fault>fault) (?P<why>\S.*)"
    r"|(?P<end>end) (?P<count>count=\d+)"
    r")\s*$"
)
_KINDS = ("begin", "step", "observe", "fault", "end")
_RECORD_HEAD = "harness: "
_BANNER = re.compile(r"Linux version \d")
_CMDLINE = "Kernel command line: "
# Since v6.19 a long command line is printed in several lines, each but the last marked so.
_CMDLINE_GOES_ON = " \\"
_UNKNOWN = re.compile(r'Unknown kernel command line parameters "(?P<words>.*)", will be passed')
_RESTARTING = re.compile(r"reboot: (?:Restarting system|machine restart)")
_STAMP = re.compile(lines.STAMP)
_FIRST_BANNER = re.compile(rf"\n({lines.STAMP})?Linux version \d")
# Where a line of the kernel's own may hold others' words.
_ECHOES = (_RECORD_HEAD, _CMDLINE, "Command line: ", "Unknown kernel command line")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")

# What a verdict shows of the end of a console.
_LAST_LINES = 3
# How much is kept of what a log holds, in characters: 50,000 records or 30,000 reports. A boot
# has a thousandth of it. Each thing costs as much as so many characters.
_KEEP_MAX = 48 << 20
_COST = 400


def parse(
    data: bytes | Iterable[bytes],
    nonce: str | None = None,
    *,
    rules: splat_rules.Rules | None = None,
    watch: Iterable[str] = (),
) -> Console:
    """Read a console log, whole or cut short, in any state a serial line can leave it.

    `data` may come in any portions. With a `nonce` only records that bear it count. Without (a
    log of unknown origin) those count that bear the nonce of the first begin record. `rules` are
    those that ship with the tool unless given. `watch` are words to look for among the kernel's.
    """
    reader = _Reader(rules or splat_rules.load(), watch)
    for block in lines.blocks([data] if isinstance(data, bytes) else data):
        reader.take(block)
    return reader.console(nonce)


def decode(value: str) -> str:
    """Undo percent-escapes. What is no escape stays; what is no UTF-8 becomes U+FFFD."""
    if "%" not in value:
        return value
    raw = _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), value.encode())
    return raw.decode("utf-8", "replace")


@cache
def _heads(splat_heads: str, before: str = "") -> re.Pattern[str]:
    """What a line can begin with that matters at all; `before` is what has to precede it."""
    ours = rf"{_RECORD_HEAD}|Linux version \d|{_CMDLINE}|Unknown kernel command line|reboot: "
    return re.compile(rf"{before}[ \t]*(?:{ours}|{ktap.PREFILTER}|{splat_heads})", re.MULTILINE)


class _Reader:
    """Takes a console in blocks.

    Whether the kernel marks its lines is seen at its first banner or stamp. Until then there are
    two readings of what came.
    """

    def __init__(self, rules: splat_rules.Rules, watch: Iterable[str]) -> None:
        self._rules = rules
        self._watch = tuple(dict.fromkeys(watch))
        # A line matters by how it begins, or how what follows a stamp does. One expression for
        # both would be a fifth as fast: it would not begin with a literal.
        self._heads = (_heads(rules.prefilter, r"\n"), _heads(rules.prefilter, r"\] "))
        self._readings = [_Reading(rules, self._watch, has_stamps=each) for each in (True, False)]
        self._last: list[Row] = []
        self._line_count = 0

    def take(self, block: Block) -> None:
        """Read what comes next."""
        if len(self._readings) > 1:
            self._decide(block.text)
        if self._readings[-1].unread_from is None:
            self._read(block)
        self._last = [*self._last, *block.last(_LAST_LINES)][-_LAST_LINES:]
        self._line_count = block.next_line - 1

    def console(self, nonce: str | None) -> Console:
        """Return what there was."""
        return self._readings[-1].console(nonce, self._last, self._line_count)

    def _read(self, block: Block) -> None:
        for row, start in block.rows_at(sorted(self._places(block.text))):
            for reading in self._readings:
                if reading.take(row):
                    reading.keep([*self._last, *block.last(1, before=start)][-1:])
        for reading in self._readings:
            reading.go_on(block)
            if reading.unread_from is not None:
                # Whatever it is: it is no pass.
                self._readings = [reading]

    def _decide(self, text: str) -> None:
        stamp, banner = _STAMP.search(text), _FIRST_BANNER.search(text)
        if banner and not banner[1] and not (stamp and stamp.start() < banner.start()):
            self._readings = self._readings[1:]
        elif stamp:
            self._readings = self._readings[:1]

    def _places(self, text: str) -> Iterator[int]:
        """Yield where the lines are that can matter: one cheap look at everything."""
        for head in self._heads:
            yield from (match.start() for match in head.finditer(text))
        for needle in (*self._rules.needles, *self._watch):
            at = text.find(needle)
            while at >= 0:
                yield at
                at = text.find(needle, at + 1)


class _Reading:
    """What the lines that matter hold, by sort, in the order of the log."""

    def __init__(self, rules: splat_rules.Rules, watch: Sequence[str], *, has_stamps: bool) -> None:
        self._rules = rules
        self._watch = watch
        self._has_stamps = has_stamps
        self._cost = 0
        self.unread_from: int | None = None
        self._lines: dict[int, str] = {}
        self._watched: dict[str, int] = {}
        self._records: list[Piece] = []
        self._strangers: list[str] = []
        self._banners: list[str] = []
        self._cmdlines: list[str] = []
        self._unknown: list[str] = []
        self._restarting = 0
        self._ktap: list[tuple[int, str]] = []
        self._splats: list[Splat] = []
        self._reports = splats.Reports(lines.Log(has_stamps=has_stamps), rules)

    def take(self, row: Row) -> bool:
        """Sort one row in, and tell whether the one before it may be shown as well."""
        banners = len(self._banners)
        if self.unread_from is not None:
            return False
        can_matter, needles = _heads(self._rules.prefilter).match, self._rules.needles
        for piece in row.pieces(has_stamps=self._has_stamps):
            text = piece.text
            is_kept = self._look_for_watched(piece)
            if can_matter(text) or any(needle in text for needle in needles):
                is_kept = self._sort(piece) or is_kept
            if is_kept:
                self.keep([row])
        # What a guest said before it started again.
        return banners < len(self._banners) == 2  # noqa: PLR2004

    def keep(self, rows: Iterable[Row]) -> None:
        """Keep rows, to be shown."""
        for row in rows:
            if row.line not in self._lines:
                self._lines[row.line] = row.text
                self._pay(row.line, len(row.text))

    def go_on(self, block: Block) -> None:
        """Read on in the reports that have begun and not come to their end."""
        if self.unread_from is None:
            for splat in self._reports.go_on(block):
                self._take_splat(splat)

    def console(self, nonce: str | None, last: Sequence[Row], line_count: int) -> Console:
        """Return what there was."""
        for splat in self._reports.finish():
            self._take_splat(splat)
        records, observations, stray = _records(self._records, nonce)
        known = {**self._lines, **{row.line: row.text for row in last}}
        return Console(
            lines={line: known[line].removeprefix(lines.GOES_ON) for line in sorted(known)},
            line_count=line_count,
            has_stamps=self._has_stamps,
            unread_from=self.unread_from,
            banners=tuple(self._banners),
            cmdline=_join_cmdline(self._cmdlines),
            unknown_parameters=tuple(w for text in self._unknown for w in params.words(text)),
            records=records,
            observations=observations,
            splats=tuple(self._splats),
            ktap=ktap.read(self._ktap),
            stray=stray + tuple(self._strangers),
            restarting=self._restarting,
            watched=self._watched,
        )

    def _sort(self, piece: Piece) -> bool:
        """Sort one piece in, and tell whether its line may be shown.

        Userspace can write KTAP; everything else is the kernel's to say.
        """
        text = piece.text
        if text.startswith(_RECORD_HEAD):
            if piece.is_kernel:
                self._records.append(piece)
            else:
                self._strangers.append(text)
        elif piece.is_kernel and self._take_fact(piece):
            pass
        elif (start := self._rules.first_match(text)) and (
            piece.is_kernel or start.rule.is_anyones
        ):
            self._reports.begin(piece, start)
        elif ktap.can_read(text):
            self._ktap.append((piece.line, text))
        else:
            return False
        return True

    def _take_fact(self, piece: Piece) -> bool:
        text = piece.text
        if _BANNER.match(text):
            self._banners.append(text)
        elif text.startswith(_CMDLINE):
            # A second boot tells its own: the first banner's is the one that counts.
            if len(self._banners) <= 1:
                self._cmdlines.append(text.removeprefix(_CMDLINE))
        elif unknown := _UNKNOWN.match(text):
            self._unknown.append(unknown["words"])
        elif _RESTARTING.match(text):
            self._restarting = piece.line
        else:
            return False
        return True

    def _look_for_watched(self, piece: Piece) -> bool:
        if not self._watch or not piece.is_kernel or piece.text.startswith(_ECHOES):
            return False
        seen = [text for text in self._watch if text in piece.text and text not in self._watched]
        self._watched.update(dict.fromkeys(seen, piece.line))
        return bool(seen)

    def _take_splat(self, splat: Splat) -> None:
        self._splats.append(splat)
        self._pay(splat.line, sum(map(len, splat.lines)))

    def _pay(self, line: int, size: int) -> None:
        self._cost += size + _COST
        if self._cost > _KEEP_MAX and self.unread_from is None:
            self.unread_from = line
            self._reports = splats.Reports(lines.Log(has_stamps=self._has_stamps), self._rules)


def _join_cmdline(echoes: Sequence[str]) -> str | None:
    """Return the command line from its echo, which may be wrapped over several lines."""
    words: list[str] = []
    for echo in echoes:
        words.append(echo.removesuffix(_CMDLINE_GOES_ON).strip())
        if not echo.endswith(_CMDLINE_GOES_ON):
            break
    return " ".join(words) if words else None


def _records(
    pieces: Sequence[Piece], nonce: str | None
) -> tuple[tuple[Record, ...], tuple[Observation, ...], tuple[str, ...]]:
    """Return the records of this boot, what they observe, and the lines that only look so."""
    matches = [(piece, _RECORD.match(piece.text)) for piece in pieces]
    if nonce is None:
        begins = (match["nonce"] for _, match in matches if match and match["begin"])
        nonce = next(begins, None)
    records: list[Record] = []
    observations: list[Observation] = []
    stray: list[str] = []
    for piece, match in matches:
        if not match or match["nonce"] != nonce:
            stray.append(piece.text)
            continue
        kind = next(kind for kind in _KINDS if match[kind])
        text = piece.text[match.end(kind) :].strip()
        records.append(Record(seq=int(match["seq"]), kind=kind, text=text, line=piece.line))
        if kind == "observe":
            name, value = match["name"], decode(match["value"])
            observations.append(Observation(name=name, value=value, line=piece.line))
    return tuple(records), tuple(observations), tuple(stray)
