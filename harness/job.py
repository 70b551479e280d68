"""The values that flow along the pipeline, from `Job` to `Verdict`; no behaviour, no I/O.

Paths are absolute. Fields that end in `_s` are seconds, `_mib` mebibytes.
"""

import re
from datetime import date
from enum import StrEnum
from pathlib import Path

import msgspec

from harness.errors import Outcome

# What of a message moves with the code around it: places, offsets, names made up by the compiler.
_MOVES = re.compile(
    r"[\w./-]+\.[chS]:\d+(?::\d+)?|\bline \d+|\+0x[0-9a-f]+|0x[0-9a-f]{6,}|<anonymous[^>]*>"
)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides a run. Two equal jobs on equal inputs do the same work."""

    series: str = "nullfs"
    base: str | None = None
    tree: Path | None = None
    kernel: str | None = None
    """FILE, FILE:MEMBER or deb:PACKAGE[=VERSION]: what --kernel takes."""
    profile: str = "tiny"
    flavors: tuple[str, ...] = ()
    kconfig: tuple[str, ...] = ()
    arch: str = "x86_64"
    toolchain: str = "gcc"
    scenario: str | None = None
    flows: tuple[str, ...] = ()
    kselftests: tuple[str, ...] = ()
    """The kernel's own selftests to run, in place of a scenario."""
    cmdline: str = ""
    expect: str | None = None
    timeout_s: float | None = None
    memory_mib: int = 256
    compress: str = "none"
    """How the initramfs is compressed: a name of `compress`'s table."""
    allow: tuple[Path, ...] = ()
    """Files of known splats, besides those of the scenario and the settings."""
    repeat: int | None = None
    """How many rounds to make, each being all of the job's boots. None: one, or with
    `until_fail` as many as it takes."""
    until_fail: bool = False
    """Make no further round after one with a finding."""

    @property
    def is_repeated(self) -> bool:
        """Whether what comes of it is a distribution."""
        return self.until_fail or self.repeat is not None


# --- series ---------------------------------------------------------------------------------


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """One mail of a series, decoded: what `git apply` and a commit need, and no more."""

    number: int
    subject: str
    author: str
    date: str
    message: str
    diff: bytes
    origin: str
    """Where it came from, as a user would name it: a file, a mail in an mbox, a commit."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered set of patches. `patches` is empty for the series `none`."""

    name: str
    title: str
    patches: tuple[Patch, ...]
    digest: str
    bases: tuple[str, ...] = ()
    """The bases the series says it applies to, the first being its default."""
    scenario: str | None = None
    path: Path | None = None
    base_commit: str | None = None
    """The commit it was made on, by its `base-commit:` line."""
    message_id: str | None = None
    """That of its cover letter, or of its first patch."""
    cmdlines: tuple[str, ...] = ()
    """What a gate boots each patch with."""
    since: tuple[tuple[str, int], ...] = ()
    """(column or pattern of observations, number of the patch it holds from)."""


# --- tree -----------------------------------------------------------------------------------


class PatchState(StrEnum):
    """What became of a patch that did not fail (a failure raises)."""

    APPLIED = "applied"
    ALREADY_APPLIED = "already-applied"


class AppliedPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch and the commit after it (the same as before it, if already applied)."""

    number: int
    subject: str
    state: PatchState
    commit: str


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """Base + series as a commit in the tool's repository `repo`.

    `config_id` names the part of the tree that Kconfig reads: equal ids give equal .configs.
    `lane` names the worktree family that should build it.
    """

    repo: Path
    base: str
    base_commit: str
    source: str
    commit: str
    tree_hash: str
    config_id: str
    lane: str
    owner: str = ""
    """Whose code it is, by a digest: "" for a base and the user's own series."""
    patches: tuple[AppliedPatch, ...] = ()


# --- kconfig, build -------------------------------------------------------------------------


class Kconfig(msgspec.Struct, frozen=True, kw_only=True):
    """A resolved .config: `path` in the store, `digest` of its bytes."""

    path: Path
    digest: str


class CompilerWarning(msgspec.Struct, frozen=True, kw_only=True):
    """What a compiler or a tool of the build complains of; `key` is its identity.

    `line` (0: unknown) and `text`, the tool's own lines, may differ where it is the same.
    """

    file: str
    flag: str
    message: str
    function: str
    line: int = 0
    text: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is known by, whatever moves it about."""
        return (self.file, self.flag, _MOVES.sub("…", self.message), self.function)


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """A bootable image. `release` is `uname -r`; `banner` starts its `Linux version` line.

    `built` is false for an image the user brought with --kernel.
    """

    arch: str
    release: str
    banner: str
    image: Path
    digest: str
    built: bool
    sandbox: str = ""
    """What its build was confined by; "" for one that was not built here."""
    config: Path | None = None
    log: Path | None = None
    warnings: tuple[CompilerWarning, ...] = ()
    """All of its build, whichever make it was that compiled a file."""
    sources: Path | None = None
    """The list of files it was compiled from, a line each, as paths in the tree."""
    lacks: tuple[str, ...] = ()
    """Symbols of data/lacks.toml that an image of the user's does not have built in, so far as
    its .config is known."""


# --- scenario -------------------------------------------------------------------------------


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What an observation should be in each variant, and the claim it comes from.

    A variant without a value expects nothing: the observation is listed, not judged.
    """

    observe: str
    claim: str
    values: tuple[tuple[str, str], ...]
    flow: str
    promises: tuple[tuple[str, str], ...] = ()
    """What the claim promises in a variant, where the kernel is known not to keep it."""

    def value_for(self, variant: str) -> str | None:
        """The expected value in `variant`, or None where the variant expects nothing."""
        return dict(self.values).get(variant)

    def promise_for(self, variant: str) -> str | None:
        """The promised value in `variant`, or None where none is known to be broken."""
        return dict(self.promises).get(variant)


class VariantRule(msgspec.Struct, frozen=True, kw_only=True):
    """A column of expectations and the facts of the job that choose it; first match wins."""

    name: str
    option: str | None = None
    """A kernel parameter that the job gives."""
    since: tuple[int, int] | None = None
    """The first kernel version (major, minor) it holds for."""
    series: bool | None = None
    """Whether the job applies a series. A kernel of the user's own is held to have been built
    with one if the job gives `option`, which only such a kernel knows."""
    flavor: str | None = None
    """A flavor of the job's kconfig."""


class BootPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One boot of a scenario: the flows that share it, and what it has of its own."""

    flows: tuple[str, ...]
    cmdline: str = ""
    has_own_cmdline: bool = False
    """`cmdline` is in place of the job's words, not beside them."""
    disk: str | None = None
    """The file system of a disk that holds the guest's tree: `ext4` or `squashfs`."""
    disk_image: Path | None = None
    """An image of the scenario's own in place of that."""
    has_initramfs: bool = True
    initrd: str | None = None
    """A program in the scenario's `initrds` folder that makes this boot's initramfs."""
    kconfig: tuple[str, ...] = ()
    """What the boot needs of the kernel, besides what the scenario does."""
    programs: tuple[str, ...] = ()
    """Programs of this machine's that its initramfs has in `/bin`."""
    ballast_mib: int = 0
    """The size of a file `/ballast` in the initramfs."""
    memory_mib: int | None = None
    """The guest's memory where the job's would not do."""
    cpus: int = 1
    timeout_s: float | None = None
    variant: str | None = None
    """The column that judges it, where that is not the job's."""
    only_in: tuple[str, ...] = ()
    """The job's variants that it is booted for. Empty: all."""
    observe: tuple[str, ...] = ()
    """What the host observes of it and the table judges: `unknown-parameters`, `panic`; `ktap`:
    each KTAP result."""
    kselftest: str | None = None
    """The kernel's own selftest that is packed into its initramfs."""

    @property
    def name(self) -> str:
        """What it goes by: its first flow, and its selftest."""
        flow = self.flows[0] if self.flows else "boot"
        return f"{flow}/{self.kselftest}" if self.kselftest else flow


class NotBooted(msgspec.Struct, frozen=True, kw_only=True):
    """A boot that was asked for and not made, and why: it is no part of a pass."""

    flows: tuple[str, ...]
    reason: str

    @property
    def name(self) -> str:
        """What the boot goes by."""
        return self.flows[0]


class LogObservation(msgspec.Struct, frozen=True, kw_only=True):
    """An observation of the host's own: whether a line of the kernel's contains `text`."""

    observe: str
    text: str
    flow: str
    """The flow whose boot it is made in, or "*" for every boot."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of guest code and its table of expectations, read and checked."""

    name: str
    path: Path
    title: str
    sources: tuple[Path, ...]
    flows: tuple[str, ...]
    default_flows: tuple[str, ...]
    variants: tuple[VariantRule, ...]
    expectations: tuple[Expectation, ...]
    boots: tuple[BootPlan, ...] = ()
    """Which flows share a boot; a flow in none of them has one to itself."""
    kconfig: tuple[str, ...] = ()
    log_observations: tuple[LogObservation, ...] = ()
    needs_ktap: bool = False
    """Its proof is KTAP: without a complete one nothing passes."""


# --- initramfs, boot ------------------------------------------------------------------------


class Initramfs(msgspec.Struct, frozen=True, kw_only=True):
    """A newc archive in the store and the digest of its bytes."""

    path: Path
    digest: str


class EndReason(StrEnum):
    """Why a boot ended, as the host saw it."""

    GUEST_EXIT = "guest-exit"
    """The guest used its exit device; `status` carries what it said."""
    GUEST_SHUTDOWN = "guest-shutdown"
    GUEST_RESET = "guest-reset"
    GUEST_PANIC = "guest-panic"
    DEADLINE = "deadline"
    HOST_QUIT = "host-quit"
    """The tool itself ended the guest, after it had seen all it needs."""
    STARVED = "starved"
    """This machine did not run the guest: what it would have done is not known."""
    QEMU_FAILED = "qemu-failed"
    """QEMU could not start, crashed or was killed: the host's fault."""


class QmpEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One QMP event: `data` is its payload as JSON text, `seconds` since QEMU started."""

    name: str
    data: str
    seconds: float


class BootSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to boot. `cmdline` is whole; `nonce` is in it and in the guest's records."""

    arch: str
    kernel: Kernel
    initramfs: Initramfs | None
    cmdline: str
    nonce: str
    deadline_s: float
    memory_mib: int
    disk: Path | None = None
    """The image of its disk, which the guest's writes do not reach."""
    disk_device: str = ""
    """QEMU's -device for that, a drive with the id `disk`."""
    cpus: int = 1


class CpuPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a CPU of a hung guest was. `function` is "" where nothing tells its name."""

    cpu: int
    address: int
    is_user: bool = False
    function: str = ""
    callers: tuple[str, ...] = ()
    """The functions that its stack has return addresses into, the innermost first. Some may be
    old ones."""
    initcall: str = ""
    """The initcall among them."""


class Hang(msgspec.Struct, frozen=True, kw_only=True):
    """What was found when a guest was given up as hung."""

    limit: str
    """`no-progress` or `total`: the limit that it ran into."""
    is_idle: bool
    """It slept: all its CPUs waited for something. Else it span."""
    cpus: tuple[CpuPoint, ...]
    has_functions: bool = False
    """There is a table of the kernel's functions, and no KASLR to make it useless."""
    registers: str = ""
    """QEMU's `info registers -a`, a few times over."""
    answer: bytes = b""
    """What the guest answered, on its console, to an NMI and to sysrq: not its own words."""


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one boot produced."""

    console: bytes
    ended: EndReason
    status: int | None
    """QEMU's exit status; negative is the signal that killed it; None if it never started."""
    events: tuple[QmpEvent, ...]
    seconds: float
    accel: str
    argv: tuple[str, ...]
    """QEMU's command line, without what connects it to the tool."""
    qemu_stderr: str = ""
    note: str = ""
    """Why the tool cut the guest short; empty where it did not."""
    pause_s: float = 0.0
    """For how long at most this machine hardly ran it."""
    hang: Hang | None = None
    """Where it was, if it ran into its deadline. `console` ends before it was asked."""


# --- console --------------------------------------------------------------------------------


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One guest record: `kind` is begin, step, observe, fault or end. `line` counts from 1."""

    seq: int
    kind: str
    text: str
    line: int


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """`flow.name` and its value, percent-decoded, as the guest stated it."""

    name: str
    value: str
    line: int


class SourceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a function's source; `file` counts from the root of the tree."""

    function: str
    file: str
    line: int


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call of a report is in the source: the innermost first, then what inlined it."""

    call: str
    """As the report has it: `func+0x10/0x20`."""
    at: tuple[SourceLine, ...]


class Splat(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel report on the console. `line` is where it starts, counted from 1."""

    kind: str
    """null-deref, use-after-free, warning, lockdep, … : [kinds] of splats.toml."""
    outcome: Outcome
    title: str
    frames: tuple[str, ...]
    lines: tuple[str, ...]
    line: int
    is_complete: bool
    places: tuple[Place, ...] = ()
    """Of the calls nearest to the fault, where the kernel's DWARF tells."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """A splat that is known of the kernel under test, and so no finding until it expires."""

    title: str
    """Regular expression of its whole title."""
    reason: str
    expires: date
    """The last day on which it holds, in UTC."""
    file: Path
    """The allow.toml that says so."""
    kind: str | None = None
    is_expired: bool = False


class KtapResult(msgspec.Struct, frozen=True, kw_only=True):
    """One KTAP test line."""

    name: str
    status: str
    line: int


class Console(msgspec.Struct, frozen=True, kw_only=True):
    """What the console says, with nothing judged."""

    lines: dict[int, str]
    """Those that a verdict may show, by number, counted from 1: what was found, and the last."""
    line_count: int
    has_stamps: bool
    """Whether the kernel marks its lines; if so, some of them are here."""
    banners: tuple[str, ...]
    """`Linux version …` lines: more than one means the guest started twice."""
    cmdline: str | None
    """As the kernel echoed it (`Kernel command line: …`)."""
    unknown_parameters: tuple[str, ...]
    records: tuple[Record, ...]
    observations: tuple[Observation, ...]
    splats: tuple[Splat, ...]
    ktap: tuple[KtapResult, ...] = ()
    stray: tuple[str, ...] = ()
    """Records that do not bear this boot's nonce, or do not parse."""
    restarting: int = 0
    """The last line on which the kernel says that it restarts the machine, or 0."""
    watched: dict[str, int] = {}
    """Words that were looked for among the kernel's, and the first line that they are on."""
    unread_from: int | None = None
    """The line from which on nothing was read, where there was more than can be kept."""


# --- verdict --------------------------------------------------------------------------------


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """An expectation held against what was observed (None: nobody observed it)."""

    name: str
    expected: str
    observed: str | None
    ok: bool
    claim: str
    promised: str | None = None
    """What the claim promises, where the kernel is known not to keep it."""

    @property
    def is_finding(self) -> bool:
        """Whether it is as known, and not as promised."""
        return self.promised is not None and self.ok and self.observed != self.promised


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome, why in one sentence, and the lines that show it."""

    outcome: Outcome
    reason: str
    evidence: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    unexpected: tuple[str, ...] = ()
    """Names of the observations nobody expected: listed, not judged."""


class Booted(msgspec.Struct, frozen=True, kw_only=True):
    """One boot of a job, from its plan to its verdict; `variant` is the column that judged it."""

    plan: BootPlan
    variant: str
    spec: BootSpec
    transcript: Transcript
    console: Console
    verdict: Verdict


# --- many rounds ----------------------------------------------------------------------------


class Way(msgspec.Struct, kw_only=True):
    """A way in which rounds ended: how many did, and the numbers of those that are kept.

    A round is all boots of a job once. `title` is empty for a pass.
    """

    outcome: Outcome
    title: str
    rounds: int = 0
    kept: list[int] = msgspec.field(default_factory=list)


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """The Wilson score interval, 95 %, of the share of rounds that pass."""

    low: float
    high: float


class Seconds(msgspec.Struct, frozen=True, kw_only=True):
    """How long rounds took, the boots of each put together."""

    median: float
    min: float
    max: float
