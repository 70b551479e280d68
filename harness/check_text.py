"""Renders a gate for people, on one screen: the verdict, a row a patch, what to look at first."""

from pathlib import Path

from harness import printable
from harness.check_result import CheckResult, Effect, Gate, PatchResult, WarningResult, Word
from harness.report import Style, plain

_SUBJECT = 44
_MANY = 6
_GOOD = frozenset({Word.OK, Word.REUSED, Word.ALREADY_APPLIED})
_COLUMNS = ("", "patch", "apply", "config", "build", "boot", "effect", "new", "fixed")


def text(result: CheckResult, folder: Path, *, style: Style = plain) -> str:
    """Return the report; `folder` is where the rest of it is."""
    result = printable.struct(result)
    verdict = result.verdict
    word = style(verdict.outcome.value, "good" if verdict.outcome is Gate.MERGEABLE else "bad")
    lines = [f"{word}: {verdict.reason}", ""]
    lines += [f"  series  {result.title} ({_count(len(result.patches), 'patch', 'patches')})"]
    lines += [f"  base    {_base(result)}"]
    shape = " + ".join([result.profile, *result.flavors, *result.kconfig])
    lines.append(
        f"  config  {shape}, {result.arch}, {result.toolchain}; scenario {result.scenario}"
    )
    lines += ["", *_table(result, style)]
    lines += _look_at(result)
    lines += _warnings(result, style)
    lines += _measures(result)
    lines += _not_run(result)
    if verdict.hint:
        lines += ["", style(f"hint: {verdict.hint}", "bold")]
    lines += ["", f"  gate       {folder}", f"  run again  {result.repro}"]
    return "\n".join(lines) + "\n"


def _base(result: CheckResult) -> str:
    base = result.base
    known = (
        f"; {_count(base.warnings, 'warning', 'warnings')} known before" if base.warnings else ""
    )
    words = ", ".join(
        f"{name} {word.value}"
        for name, word in (("config", base.config), ("build", base.build), ("boot", base.boot))
    )
    return f"{base.name} ({base.how}): {words}{known}"


def _table(result: CheckResult, style: Style) -> list[str]:
    rows = [[name or "" for name in _COLUMNS]]
    rows += [_row(patch) for patch in result.patches]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS))]
    lines = []
    for number, row in enumerate(rows):
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
    subject = patch.subject
    if len(subject) > _SUBJECT:
        subject = subject[: _SUBJECT - 1] + "…"
    words = (patch.apply, patch.config, patch.build, patch.boot, patch.effect)
    counts = (len(patch.warnings_new), len(patch.warnings_fixed))
    return [str(patch.number), subject, *(word.value for word in words), *map(str, counts)]


def _look_at(result: CheckResult) -> list[str]:
    shown = [each for each in result.verdict.look_at if each != result.verdict.reason]
    lines = ["", "look at", *(f"  {each}" for each in shown)] if shown else []
    for patch in result.patches:
        lines += [
            f"  patch {patch.number}: {boot.outcome}: {boot.run}/console.log"
            for boot in patch.boots
            if boot.word is Word.FAILED and boot.run
        ]
        if patch.build is Word.FAILED and patch.build_log:
            lines.append(f"  patch {patch.number}: {patch.build_log}")
    return lines


def _warnings(result: CheckResult, style: Style) -> list[str]:
    found: list[tuple[PatchResult, WarningResult]] = [
        (patch, each) for patch in result.patches for each in patch.warnings_new
    ]
    if not found:
        return []
    lines = ["", "new warnings"]
    for patch, each in found[:_MANY]:
        where = f"{each.file}:{each.line}" if each.line else each.file or "the message"
        flag = f" [{each.flag}]" if each.flag else ""
        lines.append(f"  patch {patch.number}  {each.check}: {where}: {each.message}{flag}")
        if each.source.strip():
            lines.append(style(f"           {each.source.strip()}", "dim"))
    rest = len(found) - _MANY
    return [*lines, f"  and {rest} more, in the report"] if rest > 0 else lines


def _measures(result: CheckResult) -> list[str]:
    told = [each for each in result.measures if each.is_significant]
    lines = ["", "base and tip differ"] if told else []
    for each in told:
        old, new = each.before, each.after
        lines.append(
            f"  {each.name}: {old.median:g} ({old.low:g} to {old.high:g}) → "
            f"{new.median:g} ({new.low:g} to {new.high:g}) {each.unit}"
        )
    return lines


def _not_run(result: CheckResult) -> list[str]:
    missing = [each for each in result.checks if not each.ran]
    return ["", *(f"  not checked: {each.name}: {each.why}" for each in missing)] if missing else []


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
