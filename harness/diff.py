"""`harness.diff/1`: takes what two kernels did, gives exactly what differs, by flow. Pure.

Values that differ from boot to boot of one kernel say nothing of a difference between two: the
table NORMAL says which those are. Mount ids of the old kind (`*.mnt_id`, `*_old_id`) are not
among them: they are allocated in order, and what they are is what a patch may change.
"""

import re
from collections.abc import Iterator

import msgspec

from harness import __version__, document
from harness.observations import Observations

SCHEMA = "harness.diff/1"

REPORTS = "kernel"
"""What kernel reports stand under, which no flow observes."""


class Normal(msgspec.Struct, frozen=True, kw_only=True):
    """Of observations named `names`, what matches `values` is replaced by `by`."""

    names: str
    values: str
    by: str


NORMAL = (
    # Of 64 bits, never used again (statx(2), STATX_MNT_ID_UNIQUE): they count every mount and
    # unmount since the kernel started, those of its own threads too.
    Normal(names=r".*unique.*", values=r"\d+", by="<id>"),
    # Inode numbers of file systems in memory come from a counter (get_next_ino()); those that
    # are fixed, a root's above all, are small.
    Normal(names=r".*(?:_|\.)ino(?:de)?(?:_.*)?", values=r"\d{3,}", by="<inode>"),
    Normal(names=r".*(?:_|\.)pid", values=r"\d+", by="<pid>"),
    # Times, by the unit that their names end in; `_ns` is a namespace.
    Normal(names=r".*_(?:s|ms|us|nsec|seconds|jiffies|time)", values=r"\d+(?:\.\d+)?", by="<time>"),
    # As many as there was time for.
    Normal(names=r".*(?:_|\.)rounds", values=r"[1-9]\d*", by="<rounds>"),
    # KASLR, or another allocation.
    Normal(names=r".*", values=r"\b(?:0x)?f{4}[0-9a-f]{12}\b", by="<address>"),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An observation that differs; null where that side has not made it."""

    flow: str
    name: str
    before: str | None
    after: str | None


class Uncompared(msgspec.Struct, frozen=True, kw_only=True):
    """A flow that only one side ran."""

    flow: str
    ran_in: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two sides by name, `title` saying what lies between them, and what differs."""

    title: str
    before: str
    after: str
    rows: list[Row]
    uncompared: list[Uncompared]
    unfinished: list[str]
    """Which side did not come to its end, and why: what it lacks may be for that."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs, on proof."""
        return not self.rows and not self.unfinished


class DiffResult(msgspec.Struct, frozen=True, kw_only=True):
    """The document: one comparison, or one a patch."""

    schema: str = SCHEMA
    version: str = __version__
    comparisons: list[Comparison]


def compare(
    before: Observations, after: Observations, *, names: tuple[str, str], title: str = ""
) -> Comparison:
    """Compare two sides, called by `names`, flow by flow."""
    ran = list(dict.fromkeys([*before.ran, *after.ran]))
    lonely = set(before.ran) ^ set(after.ran)
    rows = [row for row in _rows(_facts(before), _facts(after)) if row.flow not in lonely]
    return Comparison(
        title=title,
        before=names[0],
        after=names[1],
        rows=sorted(rows, key=lambda row: ran.index(row.flow) if row.flow in ran else len(ran)),
        uncompared=[
            Uncompared(flow=flow, ran_in=names[0] if flow in before.ran else names[1])
            for flow in ran
            if flow in lonely
        ],
        unfinished=[
            f"{name}: {', '.join(each.flows)}: {each.reason}"
            for name, side in zip(names, (before, after), strict=True)
            for each in side.unfinished
        ],
    )


def normalise(name: str, value: str) -> str:
    """Return `value` of the observation `name` without what changes from boot to boot."""
    for normal in NORMAL:
        if re.fullmatch(normal.names, name):
            value = re.sub(normal.values, normal.by, value)
    return value


def encode(result: DiffResult) -> bytes:
    """Return the JSON document."""
    return document.encode(result)


def json_schema() -> bytes:
    """Return the JSON Schema of `harness diff --json`."""
    return document.schema_of(DiffResult)


class _Fact(msgspec.Struct, frozen=True):
    flow: str
    value: str


def _facts(side: Observations) -> dict[str, _Fact]:
    """Return everything by name: a run does not say for sure which flow has observed what."""
    seen = {
        name: _Fact(flow.flow, value)
        for flow in side.flows
        for name, value in flow.observations.items()
    }
    return {**seen, **{title: _Fact(REPORTS, "reported") for title in side.reports}}


def _rows(old: dict[str, _Fact], new: dict[str, _Fact]) -> Iterator[Row]:
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if _normal(name, before) != _normal(name, after):
            yield Row(
                flow=(before or new[name]).flow,
                name=name,
                before=before.value if before else None,
                after=after.value if after else None,
            )


def _normal(name: str, fact: _Fact | None) -> str | None:
    return None if fact is None else normalise(name, fact.value)
