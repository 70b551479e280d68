"""Renders a gate for people, on one screen: the verdict, a row a patch, what to look at first.

Pure. What was not tested is said in words, so that nobody takes it for well.
"""

import posixpath
from collections.abc import Sequence

from harness import check_words, printable
from harness.check_result import CheckResult, Effect, Gate, PatchResult, WarningResult, Word
from harness.report import Style, plain

_WIDTH = 100
_SUBJECT_MIN = 20
_MANY = 6
_VALUE = 24
_GOOD = frozenset({Word.OK, Word.REUSED, Word.ALREADY_APPLIED})
_COLUMNS = ("", "patch", "apply", "config", "build", "boot", "effect", "new", "fixed", "behaviour")


def text(result: CheckResult, folder: str, *, style: Style = plain) -> str:
    """Return the report; `folder` is where the rest of it is."""
    result = printable.struct(result)
    verdict = result.verdict
    word = style(verdict.outcome.value, "good" if verdict.outcome is Gate.MERGEABLE else "bad")
    lines = [f"{word}: {verdict.reason}", ""]
    lines += [f"  series  {result.title} ({check_words.count(len(result.patches), 'patch')})"]
    lines += [f"  base    {check_words.base(result)}"]
    lines += [f"  config  {check_words.config(result)}"]
    lines += ["", *_table(result, style)]
    look_at = _look_at(result, folder)
    lines += ["", *look_at] if look_at else []
    for section in (_uncompiled, _warnings, _behaviour, _measures, _not_run):
        found = section(result, style)
        lines += ["", *found] if found else []
    if verdict.hint:
        lines += ["", style(f"hint: {verdict.hint}", "bold")]
    lines += ["", f"  gate       {folder}", f"  run again  {result.repro}"]
    return "\n".join(lines) + "\n"


def _table(result: CheckResult, style: Style) -> list[str]:
    rows = [list(_COLUMNS), *(_row(patch) for patch in result.patches)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS))]
    rest = sum(widths) - widths[1] + 2 * len(_COLUMNS)
    widths[1] = min(widths[1], max(_SUBJECT_MIN, _WIDTH - rest))
    lines = []
    for number, row in enumerate(rows):
        row[1] = short(row[1], widths[1])
        cells = [f"{word:{width}}" for word, width in zip(row, widths, strict=True)]
        if number:
            patch = result.patches[number - 1]
            words = (patch.apply, patch.config, patch.build, patch.boot)
            for at, word in enumerate(words, 2):
                if word not in _GOOD:
                    cells[at] = style(cells[at], "dim" if word is Word.SKIPPED else "bad")
            if patch.effect is Effect.NOT_COMPILED:
                cells[6] = style(cells[6], "bad")
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return lines


def _row(patch: PatchResult) -> list[str]:
    words = (patch.apply, patch.config, patch.build, patch.boot, patch.effect)
    counts = (len(patch.warnings_new), len(patch.warnings_fixed), len(patch.behaviour))
    shown = (str(count) if count else "-" for count in counts)
    return [str(patch.number), patch.subject, *(word.value for word in words), *shown]


def short(value: str, width: int) -> str:
    """Return `value`, cut to `width` characters."""
    return value if len(value) <= width else value[: width - 1] + "…"


def _look_at(result: CheckResult, folder: str) -> list[str]:
    shown = [each for each in result.verdict.look_at if each != result.verdict.reason]
    lines = [f"  {each}" for each in shown]
    lines += [
        f"  {posixpath.normpath(posixpath.join(folder, each.file))}: {each.why}"
        for each in check_words.first_files(result)[:_MANY]
    ]
    return ["look at", *lines] if lines else []


def _uncompiled(result: CheckResult, style: Style) -> list[str]:
    found = [
        f"  patch {patch.number}  {style('untested by this config', 'bad')}: "
        f"{check_words.uncompiled(each)}"
        for patch in result.patches
        for each in patch.uncompiled
    ]
    return _first(found)


def _first(rows: Sequence[str]) -> list[str]:
    rest = len(rows) - _MANY
    return [*rows[:_MANY], *([f"  and {rest} more, in the report"] if rest > 0 else [])]


def _warnings(result: CheckResult, style: Style) -> list[str]:
    found: list[tuple[PatchResult, WarningResult]] = [
        (patch, each) for patch in result.patches for each in patch.warnings_new
    ]
    if not found:
        return []
    lines = ["new warnings"]
    for patch, each in found[:_MANY]:
        flag = f" [{each.flag}]" if each.flag else ""
        place = check_words.place(each)
        lines.append(f"  patch {patch.number}  {each.check}: {place}: {each.message}{flag}")
        if each.source.strip():
            lines.append(style(f"           {each.source.strip()}", "dim"))
    return [*lines, *_first([""] * len(found))[_MANY:]]


def _behaviour(result: CheckResult, style: Style) -> list[str]:
    """Each observation that differs: patch, name, before and after, and with which option."""
    rows = [
        (str(patch.number), row.name, *(_seen(value) for value in (row.before, row.after)),
         row.cmdline)
        for patch in result.patches
        for row in patch.behaviour
    ]  # fmt: skip
    if not rows:
        return []
    name, before, after = (max(len(row[at]) for row in rows[:_MANY]) for at in (1, 2, 3))
    lines = [
        f"  patch {row[0]}  {row[1]:{name}}  {row[2]:{before}} → {row[3]:{after}}"
        + (style(f"  with {row[4]}", "dim") if row[4] else "")
        for row in rows
    ]
    return ["does otherwise", *_first([line.rstrip() for line in lines])]


def _seen(value: str | None) -> str:
    return "(not observed)" if value is None else short(value, _VALUE)


def _measures(result: CheckResult, _style: Style) -> list[str]:
    told = [each for each in result.measures if each.is_significant]
    lines = ["base and tip differ"] if told else []
    for each in told:
        old, new = each.before, each.after
        lines.append(
            f"  {each.name}: {old.median:g} ({old.low:g} to {old.high:g}) → "
            f"{new.median:g} ({new.low:g} to {new.high:g}) {each.unit}"
        )
    return lines


def _not_run(result: CheckResult, _style: Style) -> list[str]:
    return [f"  not checked: {each.name}: {each.why}" for each in result.checks if each.is_missing]
