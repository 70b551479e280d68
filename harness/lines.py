"""Takes the bytes of a console, gives its lines and, on each, what the kernel and others wrote.

Undoes what serial lines, terminals and printk do to text; does not know what the text means.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# printk's prefix: the time, with CONFIG_PRINTK_CALLER the thread or CPU that printed it.
STAMP = r"(?:\[ *\d+\.\d{6}\](?:\[ *[CT]\d+\])? ?|\[ *[CT]\d+\] )"
_STAMP = re.compile(STAMP)
_CALLER = re.compile(r"[CT]\d+(?=\])")
_SYSLOG_LEVEL = re.compile(r"<\d+>$")
# A stamp inside such a line is quoted text, not a line that was cut by another.
_QUOTES = frozenset("\"'`=")
_ECHO = ("harness: ", "Kernel command line: ", "Command line: ")

# CSI sequences (a cut-short one at the end too), OSC strings, character sets, two-byte escapes.
_ANSI = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*(?:[@-~]|\Z)|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[()][0-9A-B]|[ -~])"
)
_LINE_ENDS = re.compile(rb"\r+\n?")
_BANNER = re.compile(rf"^({STAMP})?Linux version \d", re.MULTILINE)


class Piece(NamedTuple):
    """One printk line, or one line of userspace; `line` counts from 1.

    A physical line is several pieces where the kernel cut into another's output: `place`
    counts them. `caller` is `T<pid>` or `C<cpu>`, None if the kernel does not print it.
    """

    line: int
    place: int
    is_kernel: bool
    caller: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Log:
    """Cleaned lines. `has_stamps`: the kernel marks its lines, so what bears none is not its."""

    lines: Sequence[str]
    has_stamps: bool

    def pieces(self, line: int) -> list[Piece]:
        """Return what stands on a line, in order. An empty line gives nothing."""
        text = self.lines[line - 1]
        if not self.has_stamps:
            return [Piece(line, place=0, is_kernel=True, caller=None, text=text)] if text else []
        found: list[Piece] = []
        stamps = _true_stamps(text)
        head = text[: stamps[0].start()] if stamps else text
        if head and not _SYSLOG_LEVEL.match(head):
            found.append(Piece(line, place=0, is_kernel=False, caller=None, text=head))
        ends = [*(stamp.start() for stamp in stamps), len(text)][1:]
        for stamp, end in zip(stamps, ends, strict=True):
            caller = _CALLER.search(stamp[0])
            found.append(
                Piece(
                    line,
                    place=len(found),
                    is_kernel=True,
                    caller=caller[0] if caller else None,
                    text=text[stamp.end() : end],
                )
            )
        return found


def _true_stamps(text: str) -> list[re.Match[str]]:
    """Return the stamps that begin a kernel line: the first, and those that cut into it."""
    stamps = list(_STAMP.finditer(text))
    if len(stamps) < 2 or text.startswith(_ECHO, stamps[0].end()):  # noqa: PLR2004
        return stamps[:1]
    return stamps[:1] + [s for s in stamps[1:] if text[s.start() - 1] not in _QUOTES]


def clean(data: bytes) -> str:
    """Return `data` as text: no NULs, no terminal escapes, each line closed by one newline.

    Bytes that are no UTF-8 become U+FFFD. The number of lines stays as an editor shows it.
    """
    if b"\0" in data:
        data = data.replace(b"\0", b"")
    if b"\x1b" in data:
        data = _ANSI.sub(b"", data)
    if b"\r" in data:
        # Nearly all there are, and ten times as fast as an expression.
        data = data.replace(b"\r\n", b"\n")
        data = _LINE_ENDS.sub(b"\n", data) if b"\r" in data else data
    return data.decode("utf-8", "replace")


def read(data: bytes) -> Log:
    """Clean `data` and take it apart."""
    texts = clean(data).split("\n")
    if not texts[-1]:
        texts.pop()
    return log_of(tuple(texts))


def log_of(texts: Sequence[str]) -> Log:
    """Return cleaned lines as a log: whether its kernel marks its lines is seen from them."""
    whole = "\n".join(texts)
    banner = _BANNER.search(whole)
    # Without a banner (a cut log, `quiet`) one stamp is enough.
    return Log(texts, has_stamps=bool(banner[1]) if banner else bool(_STAMP.search(whole)))
