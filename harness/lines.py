"""Takes the bytes of a console, gives its lines and, on each, what the kernel and others wrote.

Undoes what serial lines, terminals and printk do to text; does not know what the text means.
Works on a log of any size in blocks, and holds no more than one and the lines asked for.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# printk's prefix: the time, with CONFIG_PRINTK_CALLER the thread or CPU that printed it.
STAMP = r"(?:\[ *\d+\.\d{6}\](?:\[ *[CT]\d+\])? ?|\[ *[CT]\d+\] )"
_STAMP = re.compile(STAMP)
_CALLER = re.compile(r"[CT]\d+(?=\])")
_SYSLOG_LEVEL = re.compile(r"<\d+>$")
# A stamp inside such a line is quoted text, not a line that was cut by another.
_QUOTES = frozenset("\"'`=")
_ECHO = (
    "harness: ",
    "Kernel command line: ",
    "Command line: ",
    "Unknown kernel command line parameters ",
)

_CSI = rb"\[[0-?]{0,64}[ -/]{0,8}"
_OSC = rb"\][^\x07\x1b\n]{0,256}"
# CSI sequences (a cut-short one at the end too), OSC strings, character sets, two-byte escapes.
_ANSI = re.compile(
    rb"\x1b(?:" + _CSI + rb"(?:[@-~]|\Z)|" + _OSC + rb"(?:\x07|\x1b\\)?|[()][0-9A-B]|[ -~])"
)
# What may go on in the bytes to come.
_UNFINISHED = re.compile(rb"\x1b(?:" + _CSI + rb"|" + _OSC + rb"\x1b?|[()])?\Z")
_UNFINISHED_MAX = 300
_LINE_ENDS = re.compile(rb"\r+\n?")

_CHUNK = 1 << 20
# The size of a block, and of the longest line that is looked at in one.
_BLOCK = 1 << 16
# No cut in a stamp, nor in the kernel's words behind it: printk's longest line is 2 KiB.
_CUT = re.compile(rb"(?<![\"'`=])" + STAMP.encode())
_CUT_BEFORE = 4096
_STAMP_MAX = 64
GOES_ON = "\0"
"""What a row begins with that is the rest of a line; no console has it, once it is cleaned."""


class Piece(NamedTuple):
    """One printk line, or one line of userspace; `line` counts from 1, as an editor does.

    A physical line is several pieces where the kernel cut into another's output: `place`
    counts them. `row` counts as `line` does, but a line of more than 64 KiB is several rows.
    `caller` is `T<pid>` or `C<cpu>`, None if the kernel does not print it.
    """

    row: int
    line: int
    place: int
    is_kernel: bool
    caller: str | None
    text: str


class Row(NamedTuple):
    """A line of a console, cleaned, or as much of one as is looked at together."""

    row: int
    line: int
    text: str

    def pieces(self, *, has_stamps: bool) -> list[Piece]:
        """Return what stands on it, in order. An empty line gives nothing.

        `has_stamps`: the kernel marks its lines, so what bears none is not its.
        """
        row, line, text = self
        stamps = _true_stamps(text) if has_stamps else []
        head = text[: stamps[0].start()] if stamps else text
        found: list[Piece] = []
        if head and not (head.startswith(GOES_ON) or (has_stamps and _SYSLOG_LEVEL.match(head))):
            found.append(Piece(row, line, 0, is_kernel=not has_stamps, caller=None, text=head))
        ends = [*(stamp.start() for stamp in stamps), len(text)][1:]
        for stamp, end in zip(stamps, ends, strict=False):
            caller = _CALLER.search(stamp[0])
            found.append(
                Piece(
                    row,
                    line,
                    place=len(found),
                    is_kernel=True,
                    caller=caller[0] if caller else None,
                    text=text[stamp.end() : end],
                )
            )
        return found


class Block(NamedTuple):
    """Rows, each with a newline before it. `row` and `line` are those of the first, and next."""

    row: int
    line: int
    text: str
    next_row: int
    next_line: int

    def rows_at(self, places: Iterable[int]) -> Iterator[tuple[Row, int]]:
        """Yield the rows that hold the characters at `places`, sorted, and where they begin."""
        text, row, line = self.text, self.row, self.line
        start, end = 0, -1
        for place in places:
            if place < end:
                continue
            was, start = start, text.rfind("\n", 0, place + 1)
            rows, lines = _count(text, was + 1, start + 1)
            row, line = row + rows, line + lines
            end = text.find("\n", start + 1)
            end = end if end >= 0 else len(text)
            yield Row(row, line, text[start + 1 : end]), start

    def rows(self) -> Iterator[Row]:
        """Yield all its rows."""
        line = self.line - 1
        for row, text in enumerate(self.text.split("\n")[1:], self.row):
            line += row == self.row or not text.startswith(GOES_ON)
            yield Row(row, line, text)

    def last(self, count: int, *, before: int | None = None) -> list[Row]:
        """Return the last rows that are not blank, up to `count`, in order.

        `before` is where the row after them begins.
        """
        text, row, line = self.text, self.next_row, self.next_line
        end = counted = len(text)
        end = end if before is None else before
        found: list[Row] = []
        while len(found) < count and (end := len(text[:end].rstrip())):
            start = text.rfind("\n", 0, end)
            rows, lines = _count(text, start, counted)
            row, line = row - rows, line - lines
            # The rest of a line is of the line before the next.
            is_rest = text.startswith(GOES_ON, start + 1)
            found.insert(0, Row(row, line - is_rest, text[start + 1 : end]))
            end = counted = start
        return found


def _count(text: str, start: int, end: int) -> tuple[int, int]:
    """Return how many rows and how many lines begin from `start` to `end`."""
    rows = text.count("\n", start, end)
    # A cleaned console has no NUL but ours: this is a look at nothing.
    is_whole = rows == 0 or GOES_ON not in text
    return rows, rows if is_whole else rows - text.count("\n" + GOES_ON, start, end + 1)


class Log:
    """The rows of a log that are still looked at: added in order, dropped in order."""

    def __init__(self, *, has_stamps: bool) -> None:
        self.has_stamps = has_stamps
        self.last = 0
        self._rows: deque[Row] = deque()
        self._pieces: dict[int, list[Piece]] = {}

    def add(self, block: Block) -> None:
        """Take in what comes next."""
        self._rows.extend(block.rows())
        self.last = block.next_row - 1

    def drop(self, before: int) -> None:
        """Forget the rows before this one."""
        while self._rows and self._rows[0].row < before:
            self._pieces.pop(self._rows.popleft().row, None)

    def line(self, row: int) -> int:
        """Return the number of the line that a row is of."""
        return self._rows[row - self._rows[0].row].line

    def pieces(self, row: int) -> list[Piece]:
        """Return what stands on a row."""
        found = self._pieces.get(row)
        if found is None:
            known = self._rows[row - self._rows[0].row]
            found = self._pieces[row] = known.pieces(has_stamps=self.has_stamps)
        return found


def _true_stamps(text: str) -> list[re.Match[str]]:
    """Return the stamps that begin a kernel line: the first, and those that cut into it."""
    stamps = list(_STAMP.finditer(text))
    if len(stamps) < 2 or text.startswith(_ECHO, stamps[0].end()):  # noqa: PLR2004
        return stamps[:1]
    return stamps[:1] + [s for s in stamps[1:] if text[s.start() - 1] not in _QUOTES]


class Cleaner:
    """Takes bytes in any portions; what comes out does not depend on how they were cut."""

    def __init__(self) -> None:
        self._held = b""
        self._held_end = b""

    def clean(self, data: bytes, *, is_end: bool = False) -> bytes:
        """Return `data` without NULs and terminal escapes, each line closed by one newline.

        What may yet become an escape or a line's end is held back until `is_end`.
        """
        if b"\0" in data:
            data = data.replace(b"\0", b"")
        data, self._held = self._held + data, b""
        if not is_end:
            cut = _UNFINISHED.search(data, max(0, len(data) - _UNFINISHED_MAX))
            if cut:
                data, self._held = data[: cut.start()], cut[0]
        if b"\x1b" in data:
            data = _ANSI.sub(b"", data)
        data, self._held_end = self._held_end + data, b""
        if data.endswith(b"\r") and not is_end:
            data, self._held_end = data.rstrip(b"\r"), b"\r"
        if b"\r" in data:
            # Nearly all there are, and ten times as fast as an expression.
            data = data.replace(b"\r\n", b"\n")
            data = _LINE_ENDS.sub(b"\n", data) if b"\r" in data else data
        return data


def clean(data: bytes) -> str:
    """Return `data` as text: no NULs, no terminal escapes, each line closed by one newline.

    Bytes that are no UTF-8 become U+FFFD. The number of lines stays as an editor shows it.
    """
    return Cleaner().clean(data, is_end=True).decode("utf-8", "replace")


def blocks(portions: Iterable[bytes]) -> Iterator[Block]:
    """Clean the bytes of a console, which may come in any portions; yield its lines in blocks.

    However the bytes come, the blocks are the same.
    """
    row, line = 1, 1
    for text in _cut(_cleaned(portions)):
        rows, found = _count(text, 0, len(text))
        is_rest = text.startswith("\n" + GOES_ON)
        yield Block(row, line - is_rest, text, row + rows, line + found)
        row, line = row + rows, line + found


def _cleaned(portions: Iterable[bytes]) -> Iterator[bytes]:
    cleaner = Cleaner()
    for portion in portions:
        for at in range(0, len(portion), _CHUNK):
            yield cleaner.clean(portion[at : at + _CHUNK])
    yield cleaner.clean(b"", is_end=True)


def _cut(portions: Iterable[bytes]) -> Iterator[str]:
    """Yield blocks of rows, each row with a newline before it."""
    buffer = bytearray(b"\n")
    for portion in portions:
        buffer += portion
        start = 0
        while len(buffer) - start > _BLOCK + _STAMP_MAX:
            end = buffer.rfind(b"\n", start + 1, start + _BLOCK)
            if end < 0:
                end = _place_to_cut(buffer, start)
                yield buffer[start:end].decode("utf-8", "replace")
                del buffer[:end]
                start = 0
                buffer[:0] = b"\n" + GOES_ON.encode()
            else:
                yield buffer[start:end].decode("utf-8", "replace")
                start = end
        del buffer[:start]
    if buffer != b"\n":
        yield buffer.removesuffix(b"\n").decode("utf-8", "replace")


def _place_to_cut(buffer: bytearray, start: int) -> int:
    """Return where a line that does not fit is cut: before the last thing the kernel says."""
    end = start + _BLOCK
    stamps = _CUT.finditer(buffer, end - _CUT_BEFORE, end + _STAMP_MAX)
    return max((stamp.start() for stamp in stamps if stamp.start() < end), default=end)
