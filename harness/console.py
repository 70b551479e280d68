"""Takes the bytes of one boot's console, gives what is on it: records, splats, KTAP, banners.

Pure: no I/O but the tool's own rules, no clock. It judges nothing; `verdict` does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from harness import ktap, lines, params, splats
from harness.job import Console, Observation, Record
from harness.lines import Piece

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
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


def parse(data: bytes, nonce: str | None = None, *, rules: splats.Rules | None = None) -> Console:
    """Read a console log, whole or cut short, in any state a serial line can leave it.

    With a `nonce` only records that bear it count. Without (a log of unknown origin) those
    count that bear the nonce of the first begin record. `rules` are those that ship with the
    tool unless given.
    """
    rules = rules or splats.load_rules()
    log = lines.read(data)
    found = _Finds()
    can_matter = _heads(rules.prefilter).match
    for line in _interesting(log.lines, rules):
        for piece in log.pieces(line):
            if can_matter(piece.text) or any(needle in piece.text for needle in rules.needles):
                found.take(piece, rules)
    records, observations, stray = _records(found.records, nonce)
    return Console(
        lines=tuple(log.lines),
        banners=tuple(found.banners),
        cmdline=_join_cmdline(found.cmdlines),
        unknown_parameters=tuple(word for line in found.unknown for word in params.words(line)),
        records=records,
        observations=observations,
        splats=splats.extract(log, found.starts, rules),
        ktap=ktap.read(found.ktap),
        stray=stray + tuple(found.strangers),
    )


def decode(value: str) -> str:
    """Undo percent-escapes. What is no escape stays; what is no UTF-8 becomes U+FFFD."""
    if "%" not in value:
        return value
    raw = _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), value.encode())
    return raw.decode("utf-8", "replace")


@cache
def _heads(splat_heads: str, before: str = "") -> re.Pattern[str]:
    """What a line can begin with that matters at all; `before` is what has to precede it."""
    ours = rf"{_RECORD_HEAD}|Linux version \d|{_CMDLINE}|Unknown kernel command line"
    return re.compile(rf"{before}[ \t]*(?:{ours}|{ktap.PREFILTER}|{splat_heads})")


def _interesting(texts: Sequence[str], rules: splats.Rules) -> list[int]:
    """Return the numbers of the lines that can matter, in order: one cheap look at everything."""
    whole = "\n" + "\n".join(texts)
    # A line matters by how it begins, or how what follows a stamp does.
    prefilter = _heads(rules.prefilter, r"(?:\n|\] )")
    ends = [match.end() - 1 for match in prefilter.finditer(whole)]
    for needle in rules.needles:
        at = whole.find(needle)
        while at >= 0:
            ends.append(at)
            at = whole.find(needle, at + 1)
    numbers: list[int] = []
    number, counted = 0, 0
    for at in sorted(ends):
        number += whole.count("\n", counted, at)
        counted = at
        if number not in numbers[-1:]:
            numbers.append(number)
    return numbers


@dataclass(slots=True)
class _Finds:
    """What the interesting lines hold, by sort, in the order of the log."""

    records: list[Piece] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    banners: list[str] = field(default_factory=list)
    cmdlines: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    starts: list[tuple[Piece, splats.Start]] = field(default_factory=list)
    ktap: list[tuple[int, str]] = field(default_factory=list)

    def take(self, piece: Piece, rules: splats.Rules) -> None:
        """Sort one piece in. Userspace can write KTAP; everything else is the kernel's to say."""
        text = piece.text
        if text.startswith(_RECORD_HEAD):
            if piece.is_kernel:
                self.records.append(piece)
            else:
                self.strangers.append(text)
        elif piece.is_kernel and self._take_fact(text):
            pass
        elif piece.is_kernel and (start := rules.first_match(text)):
            self.starts.append((piece, start))
        else:
            self.ktap.append((piece.line, text))

    def _take_fact(self, text: str) -> bool:
        if _BANNER.match(text):
            self.banners.append(text)
        elif text.startswith(_CMDLINE):
            # A second boot tells its own: the first banner's is the one that counts.
            if len(self.banners) <= 1:
                self.cmdlines.append(text.removeprefix(_CMDLINE))
        elif unknown := _UNKNOWN.match(text):
            self.unknown.append(unknown["words"])
        else:
            return False
        return True


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
