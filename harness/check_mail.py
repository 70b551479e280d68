"""Renders a gate as a reply to the series, in plain text: for a person to read, change and send.

Pure. The tool sends no mail. Lines of the patch are quoted as a reviewer quotes them.
"""

from collections.abc import Iterator

from harness import check_console, check_diff, check_words, mailtext, printable
from harness.check_diff import Diff, File
from harness.check_logs import Logs
from harness.check_result import (
    BootResult,
    CheckResult,
    PatchResult,
    Severity,
    WarningResult,
    Word,
)

# A mail of more than this nobody reads: the first of each.
_WARNINGS_MAX, _REPORT_MAX, _EVIDENCE_MAX = 10, 40, 12
_BEFORE = 3
_DIFF_MAX = 100_000


def mail(result: CheckResult, logs: Logs) -> bytes:
    """Return the mail; `To:` is left to who sends it."""
    clean = printable.struct(result)
    count = len(clean.patches)
    return mailtext.compose(
        _body(clean, logs),
        subject=f"Re: [PATCH 0/{count}] {clean.title}",
        message_id=clean.message_id,
    )


def _body(result: CheckResult, logs: Logs) -> Iterator[str]:
    base = result.base
    yield from mailtext.prose(f"Tested on {base.name} ({base.how}), {check_words.config(result)}.")
    yield ""
    yield from mailtext.prose(f"{result.verdict.outcome.value}: {result.verdict.reason}")
    if result.verdict.hint:
        yield from mailtext.prose(f"({result.verdict.hint})")
    for patch in result.patches:
        yield from _patch(patch, logs)
    yield from _what_ran(result)


def _patch(patch: PatchResult, logs: Logs) -> Iterator[str]:
    """Yield what there is to say of a patch: nothing of one that is well."""
    lines = [*_stages(patch, logs), *_warnings(patch), *_behaviour(patch), *_uncompiled(patch)]
    if lines:
        yield from ("", f"> [PATCH {patch.number}] {patch.subject}", *lines)


def _stages(patch: PatchResult, logs: Logs) -> Iterator[str]:
    failed = [boot for boot in patch.boots if boot.word is Word.FAILED]
    is_warning = patch.reason.startswith("a new warning")
    if patch.reason and not (patch.uncompiled or is_warning or failed):
        yield from ("", *mailtext.prose(f"{patch.reason}."))
    if patch.evidence:
        yield ""
    yield from (f"    {line}" for line in patch.evidence[:_EVIDENCE_MAX])
    for boot in failed:
        name, came_to = check_words.boot_name(boot.cmdline), check_words.came_to(boot)
        yield from ("", *mailtext.prose(f"Booted {name}: {came_to}."), "")
        yield from (f"    {line}" for line in _report(boot, logs))


def _report(boot: BootResult, logs: Logs) -> list[str]:
    """Return the kernel's first report of a boot, or what the verdict rests on."""
    data = logs.console(boot)
    stretches = check_console.show(data, most=_REPORT_MAX).stretches if data else ()
    told = next((list(part.lines) for part in stretches if part.title), boot.evidence)
    rest = len(told) - _REPORT_MAX
    return told[:_REPORT_MAX] + ([f"[{check_words.count(rest, 'more line')}]"] if rest > 0 else [])


def _warnings(patch: PatchResult) -> Iterator[str]:
    diff = check_diff.place(patch.diff, patch.warnings_new, most=_DIFF_MAX)
    left = _WARNINGS_MAX
    for quoted, each in _placed(diff):
        if left:
            left -= 1
            yield from ("", *quoted, *([""] if quoted else []), *_said(each))
    rest = len(patch.warnings_new) - _WARNINGS_MAX
    if rest > 0:
        yield from ("", f"... and {check_words.count(rest, 'more new warning')}.")


def _placed(diff: Diff) -> Iterator[tuple[list[str], WarningResult]]:
    """Yield each warning with the lines of the patch that it is about, as a reply has them."""
    for file in diff.files:
        for at, line in enumerate(file.lines):
            for number, each in enumerate(line.warnings):
                yield ([] if number else _quote(file, at)), each
        yield from (([], each) for each in file.warnings)
    yield from (([], each) for each in diff.elsewhere)


def _quote(file: File, at: int) -> list[str]:
    start = max(0, at - _BEFORE)
    return [f"> +++ b/{file.path}", *(f"> {line.text}" for line in file.lines[start : at + 1])]


def _said(warning: WarningResult) -> Iterator[str]:
    word = "" if warning.severity is Severity.ERROR else " (a note)"
    yield f"New with this patch, by {warning.check}{word}:"
    yield ""
    text = warning.text or [f"{check_words.place(warning)}: {warning.message}"]
    yield from (f"    {line}" for line in text[:_EVIDENCE_MAX])


def _behaviour(patch: PatchResult) -> Iterator[str]:
    if not patch.behaviour:
        return
    yield from ("", "What the kernel does otherwise with this patch:", "")
    for row in patch.behaviour[:_REPORT_MAX]:
        old, new = ("(not observed)" if v is None else v for v in (row.before, row.after))
        option = f"  ({row.cmdline})" if row.cmdline else ""
        yield f"    {row.name}: {old} -> {new}{option}"
    rest = len(patch.behaviour) - _REPORT_MAX
    if rest > 0:
        yield f"    ... and {rest} more"


def _uncompiled(patch: PatchResult) -> Iterator[str]:
    if patch.uncompiled:
        yield from ("", "Not tested by this config, which does not compile:", "")
        yield from (f"    {check_words.uncompiled(each)}" for each in patch.uncompiled)


def _what_ran(result: CheckResult) -> Iterator[str]:
    booted = sum(boot.word is not Word.SKIPPED for patch in result.patches for boot in patch.boots)
    ran = [each.name for each in result.checks if each.ran]
    yield ""
    yield from mailtext.prose(
        "What was run: each patch was applied in order, configured and built; "
        f"{check_words.count(booted, 'boot')} in QEMU; "
        f"on the sources: {', '.join(ran) or 'nothing'}."
    )
    for each in result.checks:
        if each.is_missing:
            yield from mailtext.prose(f"Not run: {each.name}: {each.why}.")
    yield from (
        "",
        "To repeat it:",
        "",
        f"    {result.repro}",
        "",
        "-- ",
        f"harness {result.version}",
    )
