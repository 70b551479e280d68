"""Renders a `RunResult` for people. It adds nothing to what the result says."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from harness import printable
from harness.errors import Outcome
from harness.result import ExpectationResult, RepeatResult, RunResult

Style = Callable[[str, str], str]
"""Takes a text and a style name (`good`, `bad`, `dim`, `bold`), gives the text to print."""

_MAX_OBSERVATION = 60
_STATUSES = ("pass", "fail", "skip", "missing")


def plain(text: str, _style: str) -> str:
    """Style nothing."""
    return text


def text(result: RunResult, folder: Path, *, style: Style = plain, is_full: bool = False) -> str:
    """Return the report: verdict and why, what was expected, how to repeat it.

    `is_full` adds what a passing run need not show: stages and every observation.
    """
    result = printable.struct(result)
    passed = result.verdict.outcome is Outcome.PASS
    word = style(result.verdict.outcome.value, "good" if passed else "bad")
    lines = [f"{word}: {result.verdict.reason}", ""]
    lines += _subject(result)
    if is_full:
        lines += _stages(result)
        lines += _boots(result, style)
    lines += [f"  not booted: {each.name}: {each.reason}" for each in result.not_booted]
    lines += _rounds(result, style)
    lines += _known(result, style)
    lines += _expectations(result, style, is_full=is_full)
    lines += _tests(result, style)
    if is_full:
        lines += _others(result)
    if not passed:
        lines += _evidence(result, style)
    lines += _where(result, folder, passed=passed)
    return "\n".join(lines) + "\n"


def _subject(result: RunResult) -> list[str]:
    job = result.job
    rows = [("kernel", _kernel_line(result))]
    rows += [
        ("", f"patch {patch.number}: {patch.subject} ({patch.state})")
        for patch in job.patches
        if patch.state != "applied"
    ]
    rows.append(("scenario", f"{job.scenario} ({', '.join(job.flows)}), judged as {job.variant}"))
    if job.cmdline:
        rows.append(("cmdline", job.cmdline))
    if result.repeat:
        rows += _repeat_rows(result.repeat)
    elif len(result.boots) > 1:
        rows.append(("boots", f"{len(result.boots)}, {sum(b.seconds for b in result.boots):.2f} s"))
    elif result.boot:
        rows.append(
            (
                "boot",
                f"{result.boot.seconds:.2f} s ({result.boot.accel}): {result.boot.ended.value}",
            )
        )
    return _columns(rows)


def _kernel_line(result: RunResult) -> str:
    job = result.job
    if job.kernel:
        return f"{job.release} from {job.kernel}"
    count = len(job.patches)
    series = f"{job.series} ({count} patch{'es' if count != 1 else ''})" if count else "no series"
    shape = " + ".join([job.profile, *job.flavors, *job.kconfig])
    return f"{job.base} with {series}, {shape}, {job.arch}"


def _stages(result: RunResult) -> list[str]:
    rows = [
        (stage.name, f"{stage.seconds:8.2f} s  {'cached' if stage.cached else stage.why}")
        for stage in result.stages
    ]
    return ["", "stages", *_columns(rows)]


def _repeat_rows(repeat: RepeatResult) -> list[tuple[str, str]]:
    asked = "" if repeat.asked in (None, repeat.done) else f" of {repeat.asked}"
    stopped = f": {repeat.stopped}" if repeat.stopped else ""
    boots = f", {repeat.boots} boots" if repeat.boots != repeat.done else ""
    rows = [("rounds", f"{repeat.done}{asked}{boots}{stopped}")]
    if repeat.pass_rate:
        low, high = repeat.pass_rate.low, repeat.pass_rate.high
        rows.append(("pass rate", f"{low:.2%} to {high:.2%} (Wilson, 95 %)"))
    if repeat.seconds:
        s = repeat.seconds
        rows.append(("a round", f"{s.median:.2f} s, {s.min:.2f} to {s.max:.2f}"))
    return rows


def _rounds(result: RunResult, style: Style) -> list[str]:
    """How often rounds went which way, and where the boots of those that are kept are."""
    if not result.repeat:
        return []
    lines = ["", "how the rounds ended"]
    for way in result.repeat.ways:
        passed = way.outcome is Outcome.PASS
        word = style(f"{way.outcome.value:12}", "good" if passed else "bad")
        kept = ", ".join(map(str, way.kept))
        lines.append(f"  {way.rounds:6}  {word}  {_short(way.title)}")
        if kept:
            lines.append(style(f"          kept in rounds: {kept}", "dim"))
    return lines


def _known(result: RunResult, style: Style) -> list[str]:
    """Known splats: those that came, and those that could be taken off the list."""
    if not result.allowances:
        return []
    lines = ["", "known splats"]
    for each in result.allowances:
        many = "s" if each.splats > 1 else ""
        used = f"{each.splats} report{many}" if each.splats else style("unused", "bold")
        until = f"expired on {each.expires}" if each.expired else f"until {each.expires}"
        lines.append(f"  {each.title}  {used}, {until}: {each.reason} ({each.file})")
    return lines


def _boots(result: RunResult, style: Style) -> list[str]:
    if len(result.boots) < 2:  # noqa: PLR2004 - the only one has been told
        return []
    lines = ["", "boots"]
    names = [f"{boot.round} {boot.name}" if boot.round else boot.name for boot in result.boots]
    width = max(map(len, names))
    for name, boot in zip(names, result.boots, strict=True):
        passed = boot.outcome is Outcome.PASS
        word = style(f"{boot.outcome.value:12}", "dim" if passed else "bad")
        more = f" + {', '.join(boot.flows[1:])}" if boot.flows[1:] else ""
        lines.append(f"  {name:{width}}  {word}{boot.seconds:6.2f} s  {boot.variant}{more}")
    return lines


def _expectations(result: RunResult, style: Style, *, is_full: bool) -> list[str]:
    rows = result.expectations
    if not rows:
        return []
    missed = [row for row in rows if not row.ok]
    findings = [row for row in rows if row.finding]
    count = f"expectations: {len(rows) - len(missed)} of {len(rows)} as expected"
    lines = ["", count + (f", {len(findings)} not as promised" if findings else "")]
    shown = rows if is_full else [*missed, *findings]
    if not shown:
        return lines
    name = max(len(row.name) for row in shown)
    expected = max(8, *(len(row.expected) for row in shown))
    lines.append(f"     {'':{name}}  {'expected':{expected}}  observed")
    for row in shown:
        mark = style("≠", "bold") if row.finding else " " if row.ok else style("!", "bad")
        lines.append(f"   {mark} {row.name:{name}}  {row.expected:{expected}}  {_seen(row)}")
        if row.finding:
            lines.append(style(f"      promised {row.promised}: {row.claim}", "dim"))
        elif not row.ok:
            lines.append(style(f"      {row.claim}", "dim"))
    return lines


def _seen(row: ExpectationResult) -> str:
    return "(not observed)" if row.observed is None else row.observed


def _tests(result: RunResult, style: Style) -> list[str]:
    """What became of kernel selftests: how many did what, and those that did not pass."""
    if not result.job.kselftests:
        return []
    counts = Counter(result.observations.values())
    lines = [
        "",
        f"tests: {', '.join(f'{counts[s]} {s}' for s in _STATUSES if counts[s]) or 'none'}",
    ]
    for name, status in result.observations.items():
        if status in _STATUSES[1:]:
            lines.append(f"  {style(f'{status:7}', 'dim' if status == 'skip' else 'bad')}  {name}")
    return lines


def _others(result: RunResult) -> list[str]:
    rows = [
        (name, _short(result.observations[name]))
        for name in result.unexpected
        if name in result.observations
    ]
    return ["", "observed besides", *_columns(rows)] if rows else []


def _short(value: str) -> str:
    return value if len(value) <= _MAX_OBSERVATION else value[: _MAX_OBSERVATION - 1] + "…"


def _evidence(result: RunResult, style: Style) -> list[str]:
    verdict = result.verdict
    lines = (
        ["", "evidence", *(f"  {line}" for line in verdict.evidence)] if verdict.evidence else []
    )
    if verdict.hint:
        lines += ["", style(f"hint: {verdict.hint}", "bold")]
    return lines


def _where(result: RunResult, folder: Path, *, passed: bool) -> list[str]:
    rows = [("run", str(folder))]
    if not passed:
        rows += [
            (what, str(folder / result.files[file]))
            for what, file in (("console", "console"), ("build log", "build_log"))
            if file in result.files
        ]
        if "repro" in result.files:
            rows.append(("boot again", f"sh {folder / result.files['repro']}"))
        rows.append(("run again", result.repro))
    return ["", *_columns(rows)]


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(left) for left, _ in rows), default=0)
    return [f"  {left:{width}}  {right}" for left, right in rows]
