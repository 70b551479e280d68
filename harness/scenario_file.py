"""The form of scenario.toml and expect.toml: msgspec structs, and what types cannot check.

Pure; reads no files. `where` is always the file, for messages; all raise UsageError.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import UsageError
from harness.job import VariantRule

ANY = "*"
ALL = "all"
"""What --flow calls all flows, so no flow can be called so."""
OWN_KEYS = ("observe", "claim", "flow", "series-only")
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


class LogLine(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[[require-log]]`, `[[forbid-log]]`: what a kernel line contains that must (not) be there."""

    variant: str
    """A column of expect.toml, or "*" for all."""
    text: str
    claim: str


class AllowedSplat(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[[allow-splats]]`: a kernel report that is no finding, and why not."""

    title: str
    """Regular expression that matches the whole title, as a verdict shows it."""
    reason: str


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
    require_log: list[LogLine] = []
    forbid_log: list[LogLine] = []
    allow_splats: list[AllowedSplat] = []


class ExpectFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """expect.toml: `[[expect]]` rows of strings, or whole numbers for values.

    observe (required)  the observation, unique in the file
    claim (required)    where it is said that it should be so
    flow                the flow that makes it; default: the part before the dot, if that is a
                        flow; "*": whichever runs
    VARIANT             the value in that column; a column that is left out judges nothing
    series-only         a column whose value holds only if the job applies a series
    """

    expect: list[dict[str, str | int]] = []


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
        rules.append(VariantRule(name=row.name, option=row.option, since=since))
    return tuple(rules) or (_ONLY_VARIANT,)


def check_kconfig(told: ScenarioFile, where: Path) -> tuple[str, ...]:
    """Return the Kconfig assignments."""
    for line in told.kconfig:
        if not _KCONFIG.fullmatch(line):
            raise UsageError(
                f"{where}: kconfig holds {line!r}, expected CONFIG_NAME=value",
                hint='to turn a symbol off: "CONFIG_NAME=n"',
            )
    return tuple(told.kconfig)


def check_allowed(told: ScenarioFile, where: Path) -> tuple[str, ...]:
    """Return the titles of allowed splats: regular expressions, each with a reason."""
    for row in told.allow_splats:
        try:
            re.compile(row.title)
        except re.error as error:
            raise UsageError(
                f"{where}: allow-splats title {row.title!r} is no regular expression: {error}"
            ) from error
        if not row.reason.strip():
            raise UsageError(f"{where}: allow-splats {row.title!r} gives no reason")
    return tuple(row.title for row in told.allow_splats)


def check_log_lines(
    rows: Iterable[LogLine], columns: Sequence[str], where: Path, table: str
) -> tuple[tuple[str, str], ...]:
    """Return (variant, text) of required or forbidden lines; `table` is their TOML name."""
    pairs = []
    for row in rows:
        if row.variant not in (*columns, ANY):
            raise UsageError(
                f"{where}: {table} names {row.variant!r}, which is no variant"
                f"{nearest(row.variant, columns)}",
                hint=f'variants: {", ".join(columns)}, or "{ANY}" for all',
            )
        # An empty text is on every line.
        if not row.text.strip():
            raise UsageError(f"{where}: {table} has an empty text")
        pairs.append((row.variant, row.text))
    return tuple(pairs)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message that suggests a name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
