"""Renders a gate as one page of HTML, whole in itself: no script, nothing fetched, bounded.

Pure, but for its own template. All that others have said is escaped by Jinja, after what a
terminal or a bidirectional text would obey has been spelled out.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness import check_console, check_diff, check_logs, check_words, lines, printable
from harness.check_console import Phase, Shown
from harness.check_diff import Diff
from harness.check_logs import Logs
from harness.check_result import BootResult, CheckResult, Effect, Gate, PatchResult, Word

if TYPE_CHECKING:
    import jinja2

_DATA = Path(__file__).parent / "data"
_TEMPLATE, _CSS = "check.html.j2", "check.css"

# So many lines on the whole page, and at least and at most so many of each thing.
_DIFF_LINES, _DIFF_MIN, _DIFF_MAX = 12000, 20, 1500
_BAD_LINES, _BAD_MIN, _BAD_MAX = 4000, 30, 200
_GOOD_LINES, _GOOD_MAX = 3000, 120
_GOOD_MIN = 10
"""Fewer lines of a console than this are not worth a look."""
_LOG_LINES = 40
_LOG_LINE_MAX = 300
_ROWS_MAX = 60

_SIGNS = {
    Word.OK: "✓",
    Word.ALREADY_APPLIED: "✓",
    Word.REUSED: "✓",
    Word.FAILED: "✗",
    Word.UNTESTED: "?",
    Word.SKIPPED: "·",
}
_GOOD = frozenset({Word.OK, Word.REUSED, Word.ALREADY_APPLIED})
_MEANINGS = {
    Word.REUSED: "the same image on the same question as before: it was not made again",
    Word.ALREADY_APPLIED: "its change is in the base",
    Word.UNTESTED: "nothing was tried that could have failed: it says nothing for the patch",
    Word.SKIPPED: "not come to, or not promised yet",
}
_VERDICTS = {
    Gate.MERGEABLE: ("✓", "Mergeable", "good"),
    Gate.FINDING: ("✗", "Finding", "bad"),
    Gate.UNTESTABLE: ("?", "Untestable", "unsure"),
    Gate.HOST_ERROR: ("!", "Host error", "unsure"),
}


class BootView(NamedTuple):
    """A boot with what is shown of its console, if it is there; `path` is where it is."""

    boot: BootResult
    name: str
    path: str | None
    shown: Shown | None
    is_cut: bool


class PatchView(NamedTuple):
    """A patch with all that is shown under it."""

    patch: PatchResult
    diff: Diff
    boots: list[BootView]
    log: list[str]
    """The end of the build's log, if that is where it failed."""

    @property
    def state(self) -> str:
        """Good where all was tried and nothing is to be looked at, else bad, or unsure."""
        patch = self.patch
        words = {patch.apply, patch.config, patch.build, patch.boot}
        if Word.FAILED in words:
            return "bad"
        is_well = words <= _GOOD and not patch.warnings_new and not patch.reason
        return "good" if is_well else "unsure"


class Bar(NamedTuple):
    """A boot in the timeline: when each phase was, and whether it passed."""

    who: str
    name: str
    phases: list[Phase]
    is_good: bool

    @property
    def seconds(self) -> float:
        """How long it was, by the guest's clock."""
        return self.phases[-1].end


def page(result: CheckResult, logs: Logs) -> str:
    """Return the page; `logs` are those that `check_logs.wanted` names, as far as there are."""
    clean = printable.struct(result)
    css = (_DATA / _CSS).read_text()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    bars = _bars(clean, logs)
    return _environment().get_template(_TEMPLATE).render(
        result=clean,
        verdict=_VERDICTS[clean.verdict.outcome],
        look_at=[_Look.of(each, clean) for each in clean.verdict.look_at
                 if each != clean.verdict.reason],
        files=check_words.first_files(clean),
        patches=_patches(clean, logs),
        base_boots=_boots(clean.base.boots, logs, _limits(clean)),
        meanings=_meanings(clean),
        bars=bars,
        longest=max((bar.seconds for bar in bars), default=0.0),
        rows_max=_ROWS_MAX,
        config=check_words.config(clean),
        css=css,
        digest=digest,
    )  # fmt: skip


def _environment() -> "jinja2.Environment":
    import jinja2  # noqa: PLC0415 - 70 ms, and not every gate is shown so

    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DATA),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {
        "signs": {word.value: sign for word, sign in _SIGNS.items()},
        "place": check_words.place,
        "count": check_words.count,
        "boot_name": check_words.boot_name,
        "not_compiled": Effect.NOT_COMPILED.value,
    }
    return found


class _Look(NamedTuple):
    """A thing to look at first, and the patch that it is about."""

    text: str
    patch: int | None

    @classmethod
    def of(cls, text: str, result: CheckResult) -> "_Look":
        """Find the patch that `text` begins with."""
        word, _, rest = text.partition(" ")
        number = rest.partition(" ")[0].rstrip(":")
        known = {str(patch.number): patch.number for patch in result.patches}
        return cls(text, known.get(number) if word == "patch" else None)


def _limits(result: CheckResult) -> dict[bool, int]:
    """Return how many lines of a console are shown, of one that passed and one that did not."""
    boots = [*result.base.boots, *(boot for patch in result.patches for boot in patch.boots)]
    bad = sum(boot.word is Word.FAILED for boot in boots)
    good = min(_GOOD_LINES // max(len(boots) - bad, 1), _GOOD_MAX)
    return {
        True: good if good >= _GOOD_MIN else 0,
        False: min(max(_BAD_LINES // max(bad, 1), _BAD_MIN), _BAD_MAX),
    }


def _patches(result: CheckResult, logs: Logs) -> list[PatchView]:
    most = min(max(_DIFF_LINES // max(len(result.patches), 1), _DIFF_MIN), _DIFF_MAX)
    limits = _limits(result)
    return [
        PatchView(
            patch=patch,
            diff=check_diff.place(patch.diff, patch.warnings_new[:_ROWS_MAX], most=most),
            boots=_boots(patch.boots, logs, limits),
            log=_log_end(logs.files.get(patch.build_log or ""))
            if patch.build is Word.FAILED
            else [],
        )
        for patch in result.patches
    ]


def _boots(boots: Sequence[BootResult], logs: Logs, limits: dict[bool, int]) -> list[BootView]:
    found = []
    for boot in boots:
        data = logs.console(boot)
        most = limits[boot.word is not Word.FAILED]
        path = check_logs.console_of(boot)
        found.append(
            BootView(
                boot=boot,
                name=check_words.boot_name(boot.cmdline),
                path=path,
                shown=check_console.show(data, most=most) if data is not None and most else None,
                is_cut=path in logs.cut,
            )
        )
    return found


def _log_end(data: bytes | None) -> list[str]:
    rows = lines.clean(data or b"").splitlines()[-_LOG_LINES:]
    return [printable.text(row)[:_LOG_LINE_MAX] for row in rows]


def _meanings(result: CheckResult) -> list[tuple[Word, str]]:
    """Return the words of the table that need one, with what they mean."""
    base = result.base
    words = {base.config, base.build, base.boot}
    for patch in result.patches:
        words |= {patch.apply, patch.config, patch.build, patch.boot}
    return [(word, meaning) for word, meaning in _MEANINGS.items() if word in words]


def _bars(result: CheckResult, logs: Logs) -> list[Bar]:
    """Return the boots whose consoles tell their times, in the order of the series."""
    found: list[Bar] = []
    sides = [("base", result.base.boots)]
    sides += [(f"patch {patch.number}", patch.boots) for patch in result.patches]
    for who, boots in sides:
        for boot in boots:
            phases = check_console.phases(logs.console(boot) or b"")
            if phases and len(found) < _ROWS_MAX:
                is_good = boot.word is not Word.FAILED
                found.append(Bar(who, check_words.boot_name(boot.cmdline), phases, is_good))
    return found
