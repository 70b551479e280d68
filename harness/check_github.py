"""Renders a gate for GitHub: the summary of a step, and the commands that annotate lines. Pure."""

from collections.abc import Iterator

from harness import check_words, printable
from harness.check_result import CheckResult, Effect, Gate, PatchResult, Severity, Word

_ROWS_MAX = 40
# GitHub shows so many of each level in a step, and drops the rest in silence.
_LEVEL_MAX = 10
_SIGNS = {
    Gate.MERGEABLE: "✅",
    Gate.FINDING: "❌",
    Gate.UNTESTABLE: "⚠️",
    Gate.HOST_ERROR: "⚠️",
}
_BAD = frozenset({Word.FAILED, Word.UNTESTED})

# --- the summary of a step ------------------------------------------------------------------


def summary(result: CheckResult) -> str:
    """Return the summary, in Markdown."""
    verdict = result.verdict
    lines = [
        f"## {_SIGNS[verdict.outcome]} {verdict.outcome.value}: {printable.prose(result.title)}",
        "",
        printable.prose(verdict.reason),
        "",
        *(f"- {printable.prose(each)}" for each in verdict.look_at if each != verdict.reason),
        "",
        printable.prose(f"Base {check_words.base(result)}; {check_words.config(result)}."),
        "",
        "| | patch | apply | config | build | boot | effect | new | fixed | behaviour |",
        f"|{'---|' * 10}",
        *(_row(patch) for patch in result.patches),
        *_uncompiled(result),
        *_warnings(result),
        *_behaviour(result),
    ]
    if verdict.hint:
        lines += ["", f"**What next:** {printable.prose(verdict.hint)}"]
    missing = [each for each in result.checks if each.is_missing]
    lines += ["", *(f"- not checked: {printable.prose(f'{m.name}: {m.why}')}" for m in missing)]
    lines += ["", "To repeat it:", "", f"    {printable.text(result.repro).replace(chr(10), ' ')}"]
    return "\n".join(lines) + "\n"


def _row(patch: PatchResult) -> str:
    words = (patch.apply, patch.config, patch.build, patch.boot)
    shown = [f"**{word.value}**" if word in _BAD else word.value for word in words]
    effect = patch.effect.value
    counts = (len(patch.warnings_new), len(patch.warnings_fixed), len(patch.behaviour))
    cells = [
        str(patch.number),
        printable.prose(patch.subject),
        *shown,
        f"**{effect}**" if patch.effect is Effect.NOT_COMPILED else effect,
        *(str(count) if count else "" for count in counts),
    ]
    return f"| {' | '.join(cells)} |"


def _uncompiled(result: CheckResult) -> list[str]:
    found = [
        f"- patch {patch.number}: {printable.prose(check_words.uncompiled(each))}"
        for patch in result.patches
        for each in patch.uncompiled
    ]
    return _section("Untested by this config", found)


def _warnings(result: CheckResult) -> list[str]:
    found = [
        f"- patch {patch.number}, {printable.prose(each.check)}: "
        f"{printable.code(check_words.place(each))} {printable.prose(each.message)}"
        for patch in result.patches
        for each in patch.warnings_new
    ]
    return _section("New warnings", found)


def _behaviour(result: CheckResult) -> list[str]:
    found = [
        f"- patch {patch.number}, {printable.prose(check_words.boot_name(row.cmdline))}: "
        f"{printable.code(row.name)} was {_value(row.before)}, is {_value(row.after)}"
        for patch in result.patches
        for row in patch.behaviour
    ]
    return _section("Does otherwise", found)


def _value(value: str | None) -> str:
    return "not observed" if value is None else printable.code(value)


def _section(title: str, rows: list[str]) -> list[str]:
    if not rows:
        return []
    rest = len(rows) - _ROWS_MAX
    more = [f"- and {rest} more, in the report"] if rest > 0 else []
    return ["", f"### {title}", "", *rows[:_ROWS_MAX], *more]


# --- annotations ----------------------------------------------------------------------------


def annotations(result: CheckResult) -> str:
    """Return workflow commands: the verdict, what is not compiled, and new warnings at their lines.

    What GitHub would drop is left out, errors and warnings each from the first on.
    """
    left = {"error": _LEVEL_MAX, "warning": _LEVEL_MAX, "notice": _LEVEL_MAX}
    lines = []
    for level, command in _commands(printable.struct(result)):
        if left[level]:
            left[level] -= 1
            lines.append(command)
    return "\n".join(lines) + "\n"


def _commands(result: CheckResult) -> Iterator[tuple[str, str]]:
    verdict = result.verdict
    level = "notice" if verdict.outcome is Gate.MERGEABLE else "error"
    yield _command(level, verdict.reason, title=f"harness check: {verdict.outcome.value}")
    for patch in result.patches:
        words = (patch.apply, patch.config, patch.build, patch.boot)
        if Word.FAILED in words and patch.reason not in verdict.reason:
            yield _command("error", patch.reason, title=f"patch {patch.number}: {patch.subject}")
    for patch in result.patches:
        for unseen in patch.uncompiled:
            said = f"untested by this config: {check_words.uncompiled(unseen)}"
            yield _command("warning", said, title=f"patch {patch.number}", file=unseen.file)
    for patch in result.patches:
        for each in patch.warnings_new:
            bad = "error" if each.severity is Severity.ERROR else "warning"
            flag = f" [{each.flag}]" if each.flag else ""
            title = f"patch {patch.number}: new warning ({each.check})"
            yield _command(bad, each.message + flag, title=title, file=each.file, line=each.line)


def _command(
    level: str, message: str, *, title: str, file: str = "", line: int | None = None
) -> tuple[str, str]:
    given = {"file": file, "line": str(line) if line and file else "", "title": title}
    words = ",".join(f"{name}={_property(value)}" for name, value in given.items() if value)
    return level, f"::{level} {words}::{_data(message)}"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
