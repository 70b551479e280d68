"""`harness.check/1`: what came of a gate. docs/check.schema.json is made from these structs."""

from enum import StrEnum

import msgspec

from harness import document
from harness.errors import EXIT_HOST, EXIT_UNTESTABLE
from harness.result import HostResult

SCHEMA = "harness.check/1"

NOTHING_TO_LOOK_AT = "no patch touches what it is for"
"""Why a check was not made that was neither switched off nor impossible."""


class Gate(StrEnum):
    """What the whole comes to."""

    MERGEABLE = "mergeable"
    FINDING = "finding"
    UNTESTABLE = "untestable"
    HOST_ERROR = "host-error"


GATE_EXIT_CODES = {
    Gate.MERGEABLE: 0,
    Gate.FINDING: 1,
    Gate.UNTESTABLE: EXIT_UNTESTABLE,
    Gate.HOST_ERROR: EXIT_HOST,
}


class Word(StrEnum):
    """How a stage of a patch went."""

    OK = "ok"
    FAILED = "failed"
    ALREADY_APPLIED = "already-applied"
    REUSED = "reused"
    """It is what it was before: taken from an earlier check, or from the same image."""
    UNTESTED = "untested"
    """Nothing was tried that could have failed: it says nothing for the patch."""
    SKIPPED = "skipped"
    """Not come to, since a stage before it failed or nobody asked."""


class Effect(StrEnum):
    """What a patch does to the kernel of this config."""

    CHANGES_KERNEL = "changes-kernel"
    NO_EFFECT = "no-effect"
    """Built, the image is the same, bit for bit."""
    NOT_COMPILED = "not-compiled"
    """It changes code, none of which this config compiles."""
    UNKNOWN = "unknown"
    """One of the two images could not be built."""


class Severity(StrEnum):
    """What a new warning means for the gate."""

    ERROR = "error"
    """It is a finding."""
    WARNING = "warning"
    """It is shown, and no more."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The whole in one word, in one sentence, and what to look at first, one sentence each."""

    outcome: Gate
    reason: str
    look_at: list[str]
    hint: str | None = None


class WarningResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a compiler or a checker says of a place.

    (`check`, `file`, `flag`, `message`, `function`) is its identity, `message` without what moves
    (lines, addresses). `text` is the tool's own words, `source` the line that they are about.
    """

    check: str
    """The check that found it: a name of `CheckRun`."""
    file: str
    line: int | None
    flag: str
    message: str
    function: str
    severity: Severity
    text: list[str]
    source: str = ""


class BootResult(msgspec.Struct, frozen=True, kw_only=True):
    """A boot of the patch's kernel with one command line; `run` is its folder."""

    cmdline: str
    word: Word
    outcome: str
    """As in harness.run/1; empty where it was not booted."""
    reason: str
    variant: str
    seconds: float
    evidence: list[str]
    run: str | None


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """An observation that differs from the patch before; null where that side lacks it."""

    cmdline: str
    flow: str
    name: str
    before: str | None
    after: str | None


class Uncompiled(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the patch changes and this config does not compile.

    `symbols` would compile it; empty where that cannot be told.
    """

    file: str
    symbols: list[str]


class SizeChange(msgspec.Struct, frozen=True, kw_only=True):
    """A section or a function whose size in bytes differs; null where it is not there."""

    name: str
    before: int | None
    after: int | None


class StructChange(msgspec.Struct, frozen=True, kw_only=True):
    """A struct whose layout differs: C as pahole would write it; null where there is none."""

    name: str
    before: str | None
    after: str | None


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """How the built kernel differs from that of the patch before."""

    sections: list[SizeChange]
    functions: list[SizeChange]
    symbols_added: list[str]
    symbols_removed: list[str]
    exports_added: list[str]
    exports_removed: list[str]
    structs: list[StructChange]


class PatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """A patch of the series, and everything that was found of it."""

    number: int
    subject: str
    author: str
    commit: str
    files: list[str]
    """What it touches, by path in the tree."""
    diff: str
    """Its change, as a unified diff."""
    apply: Word
    config: Word
    build: Word
    boot: Word
    effect: Effect
    reason: str
    """One sentence on the first stage that is no `ok`, or on a claim that does not hold; empty."""
    evidence: list[str]
    warnings_new: list[WarningResult]
    warnings_fixed: list[WarningResult]
    behaviour: list[Behaviour]
    boots: list[BootResult]
    uncompiled: list[Uncompiled]
    changes: Changes | None
    """null where one of the two kernels was not built, or both are the same."""
    build_log: str | None
    seconds: float


class Breakage(msgspec.Struct, frozen=True, kw_only=True):
    """A patch after which the series cannot be bisected, and the one that repairs it, if any."""

    patch: int
    stage: str
    """apply, config, build, boot."""
    reason: str
    repaired_by: int | None


class BaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the series is held against."""

    name: str
    commit: str
    how: str
    """How it was found: "--base", "base-commit", "series.toml", "by the blobs of the patches"."""
    config: Word
    build: Word
    boot: Word
    reason: str
    warnings: int
    """How many warnings are in its build and in the files that the series touches: counted only."""
    boots: list[BootResult]


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A median and the bounds of its 95 % confidence interval."""

    median: float
    low: float
    high: float
    samples: int


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity of base and tip; `is_significant` if chance does not explain the difference."""

    name: str
    unit: str
    before: Interval
    after: Interval
    is_significant: bool


class CheckRun(msgspec.Struct, frozen=True, kw_only=True):
    """A check of the sources: whether it ran, or why not."""

    name: str
    ran: bool
    why: str
    """Why it did not run; empty if it did."""
    version: str
    seconds: float

    @property
    def is_missing(self) -> bool:
        """Whether it could have said something, and did not."""
        return not self.ran and self.why != NOTHING_TO_LOOK_AT


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """A gate, whole. Paths of runs and logs are seen from its folder."""

    schema: str = SCHEMA
    id: str
    version: str
    started: str
    """UTC, ISO 8601."""
    seconds: float
    verdict: Verdict
    series: str
    title: str
    message_id: str | None
    profile: str
    flavors: list[str]
    kconfig: list[str]
    arch: str
    toolchain: str
    scenario: str
    cmdlines: list[str]
    base: BaseResult
    patches: list[PatchResult]
    breaks: list[Breakage]
    measures: list[Measure]
    checks: list[CheckRun]
    host: HostResult
    repro: str

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        return GATE_EXIT_CODES[self.verdict.outcome]


def encode(result: CheckResult) -> bytes:
    """Return check.json."""
    return document.encode(result)


def decode(data: bytes) -> CheckResult:
    """Read a check.json back.

    Raises:
        msgspec.ValidationError: it is not one of this schema.
    """
    return msgspec.json.decode(data, type=CheckResult)


def json_schema() -> bytes:
    """Return the JSON Schema of check.json."""
    return document.schema_of(CheckResult)
