"""Takes allow.toml files, gives the kernel reports that are known: which, why, how long, where.

Only `load` reads files. No clock is read: the day is an input.
"""

import math
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness import arch as arches
from harness import strict_toml
from harness.errors import UsageError
from harness.job import Allowance, Scenario, Splat
from harness.scenario_file import nearest

if TYPE_CHECKING:
    from harness.splat_rules import Rule

FILE_NAME = "allow.toml"

_VERSION = r"(\d+)\.(\d+)(?:\.(\d+))?(?:-rc(\d+))?"
_RELEASE = re.compile(_VERSION)
_BOUND = re.compile(rf"(<=|>=|==|<|>)\s*(?:{_VERSION})")
_COMPARE = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
# No function, file or object of a kernel is called so: an expression that matches them matches
# whatever stands there.
_MADE_UP = ("qzxv_wkjf", "Jwvk9qx")
_FIELD = re.compile(r"\{\w+\}")

Version = tuple[int, int, int, float]
"""Major, minor, patch, number of the release candidate; infinite for the release itself."""


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[allow]]`: a kernel report that is known, and why it is no finding."""

    title: str
    """Regular expression that matches the whole title, as a verdict shows it."""
    reason: str
    expires: date
    """The last day on which it holds, in UTC."""
    kind: str | None = None
    """As splats.toml calls the report. Default: any."""
    arch: list[str] | None = None
    """Default: all."""
    kernel: str | None = None
    """Versions it holds for: bounds that are all met, as in ">=6.18, <6.20". Default: all."""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    allow: list[Row] = []


class Known(NamedTuple):
    """A row that has been checked, and the file it stands in."""

    row: Row
    file: Path
    bounds: tuple[tuple[str, Version], ...]


def files(scenario: Scenario, others: Sequence[Path]) -> tuple[Path, ...]:
    """Return where a job's known splats stand: beside the scenario, perhaps, and in `others`."""
    own = scenario.path / FILE_NAME
    return (own, *others) if own.is_file() else tuple(others)


def load(paths: Iterable[Path]) -> tuple[Known, ...]:
    """Read files, in order.

    Raises:
        UsageError: one cannot be read, or a row in it cannot mean what it says or allows
            everything; the message names file and row.
    """
    return tuple(known for path in paths for known in _read(path))


def choose(known: Sequence[Known], arch: str, release: str, today: date) -> tuple[Allowance, ...]:
    """Return what of it is about a kernel of this architecture and release, expired or not.

    A kernel whose release is no version is in no range.
    """
    version = version_of(release)
    return tuple(
        Allowance(
            title=row.title,
            reason=row.reason,
            expires=row.expires,
            kind=row.kind,
            file=file,
            is_expired=today > row.expires,
        )
        for row, file, bounds in known
        if (row.arch is None or arch in row.arch)
        and all(version is not None and _COMPARE[sign](version, edge) for sign, edge in bounds)
    )


def covers(allowance: Allowance, splat: Splat) -> bool:
    """Whether a report is the one that is known; not, whether it is still allowed."""
    is_kind = allowance.kind is None or allowance.kind == splat.kind
    return is_kind and re.fullmatch(allowance.title, splat.title) is not None


def uses(allowances: Sequence[Allowance], found: Sequence[Splat]) -> tuple[int, ...]:
    """Return how many of the reports each of `allowances` covers."""
    return tuple(sum(covers(each, splat) for splat in found) for each in allowances)


def version_of(release: str) -> Version | None:
    """Return the version that a release such as 6.19.0-rc1-00012-gabc+ is of, so as to compare.

    The -rc of a version come before it. What a distribution or git adds does not count.
    """
    match = _RELEASE.match(release)
    return _version(*match.groups()) if match else None


def _version(major: str, minor: str, patch: str | None, candidate: str | None) -> Version:
    last = int(candidate) if candidate is not None else math.inf
    return int(major), int(minor), int(patch or 0), last


def _read(path: Path) -> Iterator[Known]:
    for number, row in enumerate(strict_toml.load(path, _File).allow, 1):
        where = f"{path}: [[allow]] number {number}"
        for key, text in (("title", row.title), ("reason", row.reason)):
            if not text.strip():
                raise UsageError(f"{where}: {key} is empty")
        where = f"{where} ({row.title})"
        _check_title(row.title, where)
        kinds = {rule.kind for rule in _rules()}
        if row.kind is not None and row.kind not in kinds:
            raise UsageError(
                f"{where}: {row.kind!r} is no kind of report{nearest(row.kind, kinds)}",
                hint=f"kinds: {', '.join(sorted(kinds))}",
            )
        _check_arches(row.arch, where)
        yield Known(row, path, _bounds(row.kernel, where))


def _check_title(title: str, where: str) -> None:
    try:
        pattern = re.compile(title)
    except re.error as error:
        raise UsageError(f"{where}: title is no regular expression: {error}") from error
    caught = next((made_up for made_up in _made_up_titles() if pattern.fullmatch(made_up)), None)
    if caught is not None:
        raise UsageError(
            f"{where}: a blanket allowance: it matches whatever function or object is at fault, "
            f"as in {caught!r}",
            hint="name the one that is known, as the verdict shows it",
        )


def _rules() -> Sequence["Rule"]:
    # A job without known splats needs no rule before its guest runs.
    from harness import splat_rules  # noqa: PLC0415

    return splat_rules.load().rules


def _made_up_titles() -> Iterator[str]:
    """Every form of title there is, about things that are not."""
    yield ""
    yield from _MADE_UP
    for rule in _rules():
        for name in _MADE_UP:
            text = _FIELD.sub(name, rule.title)
            if rule.where:
                yield f"{text} in {name}"
            if text != rule.title:
                yield text


def _check_arches(names: Sequence[str] | None, where: str) -> None:
    if names is None:
        return
    if not names:
        raise UsageError(f"{where}: arch is empty", hint="leave it out for all architectures")
    for name in names:
        if name not in arches.names():
            raise UsageError(
                f"{where}: unknown architecture {name!r}{nearest(name, arches.names())}",
                hint=f"known are {', '.join(arches.names())}",
            )


def _bounds(text: str | None, where: str) -> tuple[tuple[str, Version], ...]:
    found = []
    for part in () if text is None else text.split(","):
        match = _BOUND.fullmatch(part.strip())
        if not match:
            raise UsageError(
                f"{where}: kernel = {text!r} is no range of versions",
                hint='bounds with commas between, as in kernel = ">=6.18, <6.20"',
            )
        sign, *numbers = match.groups()
        found.append((sign, _version(*numbers)))
    return tuple(found)
