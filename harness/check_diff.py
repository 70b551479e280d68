"""Takes a patch's unified diff and its new warnings, gives the diff with each warning in place.

Pure. It shows a diff and does not apply it: what it cannot read it shows as it is.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.check_result import WarningResult

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_KINDS = {"+": "added", "-": "removed", " ": "context"}
_NOTES = ("new file", "deleted file", "old mode", "new mode", "rename ", "copy ", "Binary ", "GIT ")
_LINE_MAX = 500
# Less than this in common, and marking what differs helps nobody.
_LIKE = 0.4


class Part(NamedTuple):
    """A piece of a line; `is_changed` if the line it stands against lacks it."""

    text: str
    is_changed: bool


class Line(NamedTuple):
    """A line of a hunk, its head, or a note; its numbers before and after, as far as it has any."""

    kind: str
    """hunk, context, added, removed, note."""
    old: int | None
    new: int | None
    parts: tuple[Part, ...]
    warnings: tuple[WarningResult, ...] = ()

    @property
    def text(self) -> str:
        """The line as a whole."""
        return "".join(part.text for part in self.parts)


class File(NamedTuple):
    """What a patch does to a file. `warnings` are those of lines that are not shown."""

    path: str
    lines: tuple[Line, ...]
    left_out: int
    """How many lines more there are."""
    added: int
    removed: int
    warnings: tuple[WarningResult, ...]


class Diff(NamedTuple):
    """A patch's files, and the warnings of files that it does not touch or of its message."""

    files: tuple[File, ...]
    elsewhere: tuple[WarningResult, ...]


def place(diff: str, warnings: Sequence[WarningResult], *, most: int) -> Diff:
    """Return the diff by file with the warnings in it; no more than `most` lines in all."""
    files, left = [], most
    touched: set[str] = set()
    for path, lines in _files(diff):
        own = [each for each in warnings if each.file == path]
        touched.add(path)
        files.append(_file(path, lines, own, max(left, 0)))
        left -= len(files[-1].lines)
    elsewhere = tuple(each for each in warnings if each.file not in touched)
    return Diff(files=tuple(files), elsewhere=elsewhere)


def _file(path: str, lines: list[Line], warnings: Sequence[WarningResult], most: int) -> File:
    shown = [
        line._replace(warnings=tuple(each for each in warnings if each.line == line.new))
        if line.new is not None
        else line
        for line in _marked(lines[:most])
    ]
    placed = {id(each) for line in shown for each in line.warnings}
    return File(
        path=path,
        lines=tuple(shown),
        left_out=len(lines) - len(shown),
        added=sum(line.kind == "added" for line in lines),
        removed=sum(line.kind == "removed" for line in lines),
        warnings=tuple(each for each in warnings if id(each) not in placed),
    )


def _files(diff: str) -> Iterator[tuple[str, list[Line]]]:
    """Yield the path and the lines of each file in a diff."""
    path, is_git, rest = "", False, iter(diff.split("\n"))
    found: list[Line] = []
    for text in rest:
        hunk = _HUNK.match(text)
        if text.startswith("diff --git "):
            if path:
                yield path, found
            path, found, is_git = text.rpartition(" b/")[2], [], True
        elif text.startswith("--- ") and not is_git:
            if path:
                yield path, found
            path, found = _path(text), []
        elif text.startswith("+++ ") and _path(text) != "/dev/null":
            path = _path(text)
        elif text.startswith(_NOTES):
            found.append(_line("note", None, None, text))
        elif hunk:
            found.append(_line("hunk", None, None, text))
            found += _hunk(hunk, rest)
    if path:
        yield path, found


def _path(text: str) -> str:
    name = text[4:].partition("\t")[0]
    return name if name == "/dev/null" else name.partition("/")[2] or name


def _hunk(head: re.Match[str], rest: Iterator[str]) -> Iterator[Line]:
    """Yield as many lines as the head of a hunk says there are."""
    old, olds, new, news = (int(number) if number else 1 for number in head.groups())
    end_old, end_new = old + olds, new + news
    while old < end_old or new < end_new:
        text = next(rest, None)
        if text is None:
            return
        kind = _KINDS.get(text[:1] or " ")
        if kind is None:
            yield _line("note", None, None, text)
            continue
        yield _line(
            kind, None if kind == "added" else old, None if kind == "removed" else new, text
        )
        old += kind != "added"
        new += kind != "removed"


def _line(kind: str, old: int | None, new: int | None, text: str) -> Line:
    shown = text if len(text) <= _LINE_MAX else f"{text[:_LINE_MAX]}…"
    return Line(kind=kind, old=old, new=new, parts=(Part(shown, is_changed=False),))


def _marked(lines: Sequence[Line]) -> list[Line]:
    """Mark what differs where as many lines are added as were removed before them."""
    found = list(lines)
    at = 0
    while at < len(found):
        removed = _run(found, at, "removed")
        added = _run(found, at + removed, "added")
        if removed and removed == added:
            for number in range(at, at + removed):
                pair = _differ(found[number].text, found[number + removed].text)
                found[number] = found[number]._replace(parts=pair[0])
                found[number + removed] = found[number + removed]._replace(parts=pair[1])
        at += removed + added or 1
    return found


def _run(lines: Sequence[Line], at: int, kind: str) -> int:
    end = at
    while end < len(lines) and lines[end].kind == kind:
        end += 1
    return end - at


def _differ(old: str, new: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Return the parts of two lines, each with its sign, by what they begin and end with alike."""
    most = min(len(old), len(new))
    head = next((n for n in range(1, most) if old[n] != new[n]), most)
    tail = next((n for n in range(most - head) if old[-n - 1] != new[-n - 1]), most - head)
    if head - 1 + tail < _LIKE * (max(len(old), len(new)) - 1):
        return (Part(old, is_changed=False),), (Part(new, is_changed=False),)
    return _parts(old, head, tail), _parts(new, head, tail)


def _parts(text: str, head: int, tail: int) -> tuple[Part, ...]:
    end = len(text) - tail
    cut = (Part(text[:head], is_changed=False), Part(text[head:end], is_changed=True),
           Part(text[end:], is_changed=False))  # fmt: skip
    return tuple(part for part in cut if part.text)
