"""The form of scenario.toml and expect.toml: msgspec structs, and what types cannot check.

Pure; reads no files. `where` is always the file, for messages; all raise UsageError.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from harness.errors import UsageError
from harness.job import BootPlan, LogObservation, VariantRule

ANY = "*"
ALL = "all"
"""What --flow calls all flows, so no flow can be called so."""
OWN_KEYS = ("observe", "claim", "flow", "promised")
"""Keys of an [[expect]] that are no variant's."""

_ONLY_VARIANT = VariantRule(name="default")
_FLOW = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_VERSION = re.compile(r"(\d+)\.(\d+)")
_KCONFIG = re.compile(r"CONFIG_\w+=\S.*")


class Variant(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[[variant]]`: a column of expect.toml and when it holds. The first that holds is taken.

    Both conditions given: both must hold. None given: it always holds, so it comes last.
    Several rows of one name are one column that may be chosen in several ways.
    """

    name: str
    option: str | None = None
    """The job's command line has this word, just so: `x` is not `x=1`, but `-` is `_`."""
    since: str | None = None
    """Kernel version, "7.0", from which on it holds."""
    series: bool | None = None
    """Whether the job applies a series; see `VariantRule`."""
    flavor: str | None = None
    """The job's kconfig has this flavor."""
    like: str | None = None
    """A variant whose values hold here too, where a row has none of its own."""


class Boot(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="kebab"):
    """`[[boot]]`: flows that share a boot, and what that boot has of its own; see `BootPlan`."""

    flows: list[str]
    cmdline: str = ""
    own_cmdline: bool = False
    disk: Literal["ext4", "squashfs"] | None = None
    disk_image: str | None = None
    initramfs: bool = True
    initrd: str | None = None
    kconfig: list[str] = []
    programs: list[str] = []
    ballast_mib: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    memory_mib: Annotated[int, msgspec.Meta(ge=16)] | None = None
    cpus: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    variant: str | None = None
    only_in: list[str] = []
    observe: list[Literal["unknown-parameters", "panic", "ktap"]] = []


class LogLine(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[[observe-log]]`: whether the kernel says this, `yes` or `no`, is an observation."""

    observe: str
    """`flow.name`, or `*.name` for every boot, where it is named after the boot's first flow."""
    text: str
    """What the line contains."""


class ScenarioFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="kebab"):
    """scenario.toml. `title` and `flows` are required."""

    title: str
    flows: list[str]
    """Functions of the guest code, in the order they run if all are asked for."""
    default: list[str] | None = None
    """The flows of a boot that names none. Default: all."""
    sources: list[str] | None = None
    """Globs in the folder. Default: every *.c."""
    kconfig: list[str] = []
    """CONFIG_X=y or CONFIG_X=n, one a string: what the guest code needs of the kernel."""
    expectations: Literal["table", "ktap", "none"] = "table"
    """Where the proof is: in expect.toml; in KTAP that the guest prints; in nothing but that the
    flows come to their end."""
    variant: list[Variant] = []
    """Default: one column, named `default`."""
    boot: list[Boot] = []
    """Default: each flow has a boot to itself."""
    observe_log: list[LogLine] = []


class ExpectFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """expect.toml: `[[expect]]` rows of strings, or whole numbers for values.

    observe (required)  the observation, unique in the file; `*.name` is one that every boot
                        makes, named after its first flow
    claim (required)    where it is said that it should be so
    flow                the flow that makes it; default: the part before the dot, if that is a
                        flow; "*": whichever runs
    VARIANT             the value in that column, "*" for any; a column that is left out judges
                        what the one it is `like` does, or nothing
    promised            table of VARIANT = value: what the claim says, where the kernel is known
                        to do what VARIANT's own value says; then that is a finding, no failure
    """

    expect: list[dict[str, str | int | dict[str, str | int]]] = []


def check_flows(told: ScenarioFile, where: Path) -> tuple[str, ...]:
    """Return the flows: at least one, each once, each a name in C; `default` among them."""
    if not told.flows:
        raise UsageError(f"{where}: flows is empty", hint="name the C functions that are flows")
    for flow in told.flows:
        if not _FLOW.fullmatch(flow) or flow == ALL:
            raise UsageError(f"{where}: {flow!r} cannot be a flow, which is a C function's name")
        if told.flows.count(flow) > 1:
            raise UsageError(f"{where}: the flow {flow!r} is named twice")
    for flow in told.default or ():
        if flow not in told.flows:
            raise UsageError(
                f"{where}: default names {flow!r}, which is no flow{nearest(flow, told.flows)}",
                hint=f"flows: {', '.join(told.flows)}",
            )
    return tuple(told.flows)


def check_variants(told: ScenarioFile, where: Path) -> tuple[VariantRule, ...]:
    """Return the columns' rules, or the one that holds where none is given."""
    rules = []
    for row in told.variant:
        if row.name in (*OWN_KEYS, ANY):
            raise UsageError(f"{where}: a variant cannot be called {row.name!r}")
        version = _VERSION.fullmatch(row.since) if row.since is not None else None
        if row.since is not None and not version:
            raise UsageError(
                f"{where}: since = {row.since!r} of variant {row.name!r} is no kernel version",
                hint='two numbers, as in since = "7.0"',
            )
        since = (int(version[1]), int(version[2])) if version else None
        rules.append(
            VariantRule(
                name=row.name,
                option=row.option,
                since=since,
                series=row.series,
                flavor=row.flavor,
            )
        )
    return tuple(rules) or (_ONLY_VARIANT,)


def check_kconfig(told: ScenarioFile, where: Path) -> tuple[str, ...]:
    """Return the Kconfig assignments."""
    return _check_kconfig_lines(told.kconfig, str(where))


def _check_kconfig_lines(lines: Sequence[str], at: str) -> tuple[str, ...]:
    for line in lines:
        if not _KCONFIG.fullmatch(line):
            raise UsageError(
                f"{at}: kconfig holds {line!r}, expected CONFIG_NAME=value",
                hint='to turn a symbol off: "CONFIG_NAME=n"',
            )
    return tuple(lines)


def check_likes(told: ScenarioFile, where: Path) -> dict[str, str]:
    """Return the column that each column is like, of those that are like one."""
    columns = [row.name for row in told.variant]
    likes: dict[str, str] = {}
    for row in told.variant:
        if row.like is None:
            continue
        if row.like not in columns or row.like == row.name:
            raise UsageError(
                f"{where}: variant {row.name!r} is like {row.like!r}, which is no other variant"
                f"{nearest(row.like, columns)}",
            )
        likes[row.name] = row.like
    for name in likes:
        seen = [name]
        while (following := likes.get(seen[-1])) is not None:
            if following in seen:
                raise UsageError(f"{where}: variants are like each other in a circle: {seen}")
            seen.append(following)
    return likes


def check_boots(told: ScenarioFile, columns: Sequence[str], where: Path) -> tuple[BootPlan, ...]:
    """Return the boots: each with flows of the scenario, no flow in two of them."""
    plans: list[BootPlan] = []
    taken: dict[str, int] = {}
    for number, row in enumerate(told.boot, 1):
        at = f"{where}: [[boot]] number {number}"
        if not row.flows:
            raise UsageError(f"{at}: flows is empty", hint="a boot without a flow proves nothing")
        for flow in row.flows:
            if flow not in told.flows:
                raise UsageError(f"{at}: {flow!r} is no flow{nearest(flow, told.flows)}")
            if flow in taken:
                raise UsageError(f"{at}: the flow {flow!r} is in number {taken[flow]} already")
            taken[flow] = number
        for name in (*row.only_in, *([row.variant] if row.variant else ())):
            if name not in columns:
                raise UsageError(f"{at}: {name!r} is no variant{nearest(name, columns)}")
        _check_sources(row, where.parent, at)
        _check_kconfig_lines(row.kconfig, at)
        plans.append(
            BootPlan(
                flows=tuple(row.flows),
                cmdline=row.cmdline,
                has_own_cmdline=row.own_cmdline,
                disk=row.disk,
                disk_image=where.parent / row.disk_image if row.disk_image else None,
                has_initramfs=row.initramfs,
                initrd=row.initrd,
                kconfig=tuple(row.kconfig),
                programs=tuple(row.programs),
                ballast_mib=row.ballast_mib,
                memory_mib=row.memory_mib,
                cpus=row.cpus,
                timeout_s=row.timeout_s,
                variant=row.variant,
                only_in=tuple(row.only_in),
                observe=tuple(row.observe),
            )
        )
    return tuple(plans)


def _check_sources(row: Boot, folder: Path, at: str) -> None:
    """Check where a boot's root is to come from."""
    if row.disk_image and row.disk is None:
        raise UsageError(f"{at}: disk-image without disk, which names its file system")
    if not row.initramfs and row.disk is None:
        raise UsageError(f"{at}: neither an initramfs nor a disk", hint="give it one of them")
    for name in (row.disk_image, row.initrd and f"initrds/{row.initrd}"):
        if name and not (folder / name).is_file():
            raise UsageError(f"{at}: there is no {folder / name}")


def check_log_lines(told: ScenarioFile, where: Path) -> tuple[LogObservation, ...]:
    """Return the lines of the kernel's to look for."""
    found = []
    for row in told.observe_log:
        flow, _, name = row.observe.partition(".")
        if not name or flow not in (*told.flows, ANY):
            raise UsageError(
                f"{where}: observe-log has {row.observe!r}, expected FLOW.NAME"
                f"{nearest(flow, told.flows)}",
                hint=f'flows: {", ".join(told.flows)}, or "{ANY}" for every boot',
            )
        # An empty text is on every line.
        if not row.text.strip():
            raise UsageError(f"{where}: observe-log {row.observe!r} has an empty text")
        found.append(LogObservation(observe=row.observe, text=row.text, flow=flow))
    return tuple(found)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message that suggests a name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
