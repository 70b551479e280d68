"""Renders a gate as b4's review tool reads the answer of a check: a JSON array. Pure.

Each entry has `tool`, `status` (pass, warn, fail), `summary`, `url` and `details`. b4 keeps one
of each tool's name, so that a patch's has its number in it.
"""

import msgspec

from harness import check_cases, printable
from harness.check_cases import Status, Suite
from harness.check_result import CheckResult, Effect, Gate, PatchResult

_PASS, _WARN, _FAIL = "pass", "warn", "fail"
_TOOL = "harness"
_VERDICTS = {
    Gate.MERGEABLE: _PASS,
    Gate.FINDING: _FAIL,
    # Neither is the series' fault, and neither may look like a pass.
    Gate.UNTESTABLE: _WARN,
    Gate.HOST_ERROR: _WARN,
}


def text(result: CheckResult) -> bytes:
    """Return the document: the verdict, then each patch that there is something to say of."""
    clean = printable.struct(result)
    verdict = clean.verdict
    said = [*verdict.look_at, verdict.hint or "", f"To repeat it: {clean.repro}"]
    entries = [_entry(_TOOL, _VERDICTS[verdict.outcome], verdict.reason, said)]
    suites = {suite.name: suite for suite in check_cases.suites(clean)}
    for patch in clean.patches:
        entries += _patch(patch, suites[f"patch-{patch.number}"])
    return msgspec.json.format(msgspec.json.encode(entries), indent=1) + b"\n"


def _patch(patch: PatchResult, suite: Suite) -> list[dict[str, str]]:
    bad = [case for case in suite.cases if case.status in {Status.FAIL, Status.ERROR}]
    lines = [
        line
        for case in bad
        for line in (f"{case.name}: {case.why}", *(f"  {each}" for each in case.lines))
    ]
    notes = [check_cases.warning(each) for each in patch.warnings_new]
    lines += [note for note in notes if not any(note in line for line in lines)]
    if not (bad or lines or patch.effect is Effect.NOT_COMPILED):
        return []
    status = _FAIL if bad else _WARN
    summary = patch.reason or (bad[0].why if bad else f"new: {notes[0]}" if notes else "")
    return [_entry(f"{_TOOL} {patch.number}", status, f"{patch.subject}: {summary}", lines)]


def _entry(tool: str, status: str, summary: str, lines: list[str]) -> dict[str, str]:
    return {
        "tool": tool,
        "status": status,
        "summary": summary.replace("\n", " "),
        "url": "",
        "details": "\n".join(filter(None, lines)),
    }
