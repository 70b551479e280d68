"""Takes a console, gives what a verdict shows of it: lines as evidence, and where they are.

Pure. Lines count from 1, as an editor shows them.
"""

from typing import NamedTuple

from harness.console import decode
from harness.errors import Outcome
from harness.job import Console

NOWHERE = 1 << 60
"""The line of a cause that is no line's: what did not happen, or was seen from outside."""

_MAX_TEXT = 200


class Cause(NamedTuple):
    """Something that keeps a boot from passing; of several the one that came first counts."""

    line: int
    outcome: Outcome
    reason: str
    evidence: tuple[str, ...] = ()


def has_kernel_output(console: Console) -> bool:
    """Whether anything on the console is the kernel's."""
    return bool(console.has_stamps or console.banners or console.records or console.splats)


def last_words(console: Console) -> str:
    """How far the guest came: what it was about to do, or the last line there is."""
    record = console.records[-1] if console.records else None
    if record and record.kind == "step":
        return f"it was about to: {decode(record.text)}"
    if record and record.kind != "end":
        return f"its last record: {record.kind} {short(decode(record.text))}"
    last = next((text for text in reversed(console.lines.values()) if text.strip()), None)
    return f'the last line: "{short(last.strip())}"' if last else "the console is empty"


def quote(console: Console, line: int) -> str:
    """Return a line as evidence. One that is not there, or is not kept, gives its absence."""
    text = console.lines.get(line)
    return "(no such line)" if text is None else f"line {line}: {short(text.strip())}"


def short(text: str) -> str:
    """Return `text`, cut where it would fill a screen."""
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def find(console: Console, text: str) -> int:
    """Return the first line that contains `text`, of those that are kept, or NOWHERE."""
    return next((n for n, line in console.lines.items() if text in line), NOWHERE)


def banner_lines(console: Console) -> list[int]:
    """Return the lines that the banners are on."""
    banners = set(console.banners)
    return [
        number
        for number, text in console.lines.items()
        if any(text.endswith(banner) for banner in banners)
    ]


def last_lines(console: Console) -> tuple[str, ...]:
    """Return the end of the console as evidence."""
    numbers = [n for n, text in console.lines.items() if text.strip()]
    return tuple(quote(console, number) for number in numbers[-3:])


def and_more(reason: str, count: int) -> str:
    """Return a reason for the first of `count` things."""
    return reason if count == 1 else f"{reason}, and {count - 1} more"
