"""`harness.run/1`: what result.json holds. docs/run.schema.json is made from these structs."""

import msgspec

from harness import document
from harness.errors import Outcome
from harness.job import EndReason, Interval, Place, Seconds, Splat, Way

SCHEMA = "harness.run/1"


class VerdictResult(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome, why in one sentence, the lines that show it."""

    outcome: Outcome
    reason: str
    evidence: list[str]
    hint: str | None = None


class PatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """A patch of the series and what became of it."""

    number: int
    subject: str
    state: str
    commit: str


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decided the run."""

    series: str
    patches: list[PatchResult]
    base: str | None
    source: str | None
    tree_hash: str | None
    kernel: str | None
    release: str | None
    profile: str
    flavors: list[str]
    kconfig: list[str]
    arch: str
    scenario: str
    flows: list[str]
    kselftests: list[str] = []
    cmdline: str
    variant: str
    memory_mib: int
    compress: str = "none"
    """How the initramfs was compressed."""
    deadline_s: float


class StageResult(msgspec.Struct, frozen=True, kw_only=True):
    """A stage: `key` names its product in the cache, `why` what made it run."""

    name: str
    key: str
    cached: bool
    why: str
    seconds: float


class ExpectationResult(msgspec.Struct, frozen=True, kw_only=True):
    """An expectation beside what was observed (null: nobody observed it).

    A finding is as expected and not as `promised`: the kernel is known not to keep the claim.
    """

    name: str
    expected: str
    observed: str | None
    ok: bool
    claim: str
    promised: str | None = None
    finding: bool = False


class SplatResult(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel report; `line` is where it starts in the console.log of `boot`, from 1."""

    boot: str = ""

    kind: str
    title: str
    frames: list[str]
    line: int
    places: tuple[Place, ...] = ()
    """Where its calls are in the source, if the kernel was built with DWARF."""


class QmpResult(msgspec.Struct, frozen=True, kw_only=True):
    """A QMP event; `data` is its payload, `seconds` since QEMU started."""

    name: str
    data: msgspec.Raw
    seconds: float


class CpuResult(msgspec.Struct, frozen=True, kw_only=True):
    """A CPU of a hung guest: `address` in hex, `function` empty where nothing tells its name.

    `callers` is what its stack has return addresses into, the innermost first.
    """

    cpu: int
    address: str
    function: str
    callers: list[str]
    user: bool


class HangResult(msgspec.Struct, frozen=True, kw_only=True):
    """Where a hung guest was: `limit` is no-progress or total, `where` a phrase for people."""

    limit: str
    where: str
    idle: bool
    cpus: list[CpuResult]


class BootResult(msgspec.Struct, frozen=True, kw_only=True):
    """How the boot went, as the host saw it."""

    ended: EndReason
    status: int | None
    seconds: float
    accel: str
    qmp: list[QmpResult]
    argv: list[str]
    hang: HangResult | None = None


class BootSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One of the run's boots: what it was for and what came of it. `files` are its own.

    Of a repetition only the boots of the rounds that are kept are here.
    """

    name: str
    round: int | None = None
    flows: list[str]
    cmdline: str
    variant: str
    outcome: Outcome
    reason: str
    ended: EndReason
    seconds: float
    files: dict[str, str]


class NotBootedResult(msgspec.Struct, frozen=True, kw_only=True):
    """A boot that was asked for and not made, and why."""

    name: str
    reason: str


class AllowanceResult(msgspec.Struct, frozen=True, kw_only=True):
    """A known splat of this kernel's: `splats` is how many it covered, in all boots of the run."""

    title: str
    kind: str | None
    reason: str
    expires: str
    """The last day it holds, ISO 8601."""
    expired: bool
    file: str
    splats: int


class RepeatResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of many rounds, a round being all of the job's boots once.

    Rounds with a host error count in `host_errors` and `done` alone: neither in the interval nor
    in the seconds.
    """

    asked: int | None
    """null: as many as it takes."""
    until_fail: bool
    done: int
    passed: int
    host_errors: int
    boots: int
    ways: list[Way]
    pass_rate: Interval | None
    seconds: Seconds | None
    decided_by: int
    """The round that `verdict`, `boot`, `expectations`, `observations` and `splats` are of."""
    stopped: str
    """Why it ended before all rounds that could have been; empty if it did not."""
    interrupted: bool


class HostResult(msgspec.Struct, frozen=True, kw_only=True):
    """What did the work: versions, in the tools' own words."""

    harness: str
    python: str
    system: str
    cpus: int
    tools: dict[str, str]


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """A run, whole. `files` are names within the run folder."""

    schema: str = SCHEMA
    id: str
    version: str
    started: str
    """UTC, ISO 8601."""
    verdict: VerdictResult
    job: JobResult
    stages: list[StageResult]
    observations: dict[str, str]
    expectations: list[ExpectationResult]
    unexpected: list[str]
    splats: list[SplatResult]
    boot: BootResult | None
    """The boot that the verdict is about: the first that is no pass, or the first."""
    boots: list[BootSummary] = []
    not_booted: list[NotBootedResult] = []
    repeat: RepeatResult | None = None
    allowances: list[AllowanceResult] = []
    host: HostResult
    repro: str
    files: dict[str, str]


def of_splat(boot: str, splat: Splat) -> SplatResult:
    """Return what is told of a report on the console of `boot`."""
    return SplatResult(
        boot=boot,
        kind=splat.kind,
        title=splat.title,
        frames=list(splat.frames),
        line=splat.line,
        places=splat.places,
    )


def encode(result: RunResult) -> bytes:
    """Return result.json."""
    return document.encode(result)


def decode(data: bytes) -> RunResult:
    """Read a result.json back.

    Raises:
        msgspec.ValidationError: it is not one of this schema.
    """
    return msgspec.json.decode(data, type=RunResult)


def json_schema() -> bytes:
    """Return the JSON Schema of result.json."""
    return document.schema_of(RunResult)
