"""`harness.parse/1`: what is on a stored log. docs/parse.schema.json is made from these structs."""

import msgspec

from harness import __version__, document
from harness.errors import Outcome
from harness.job import Console, Place, Verdict
from harness.result import VerdictResult

SCHEMA = "harness.parse/1"


class ReportResult(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel report, from `line` on, counted from 1. docs/reports.md has the kinds."""

    kind: str
    outcome: Outcome
    title: str
    line: int
    is_complete: bool
    """False if the log ends, or another report begins, before this one is over."""
    frames: list[str]
    """Its first call trace, the innermost function first, by the names in the source."""
    places: tuple[Place, ...]
    """Where its calls are in the source, with --vmlinux and DWARF in it."""
    text: list[str]


class ParseResult(msgspec.Struct, frozen=True, kw_only=True):
    """A log: the verdict on it, and each report of the kernel's in it."""

    schema: str = SCHEMA
    version: str = __version__
    verdict: VerdictResult
    banners: list[str]
    """Its `Linux version` lines, one a boot."""
    splats: list[ReportResult]


def of(console: Console, verdict: Verdict) -> ParseResult:
    """Return the document on a log."""
    return ParseResult(
        verdict=VerdictResult(
            outcome=verdict.outcome, reason=verdict.reason, evidence=list(verdict.evidence)
        ),
        banners=list(console.banners),
        splats=[
            ReportResult(
                kind=splat.kind,
                outcome=splat.outcome,
                title=splat.title,
                line=splat.line,
                is_complete=splat.is_complete,
                frames=list(splat.frames),
                places=splat.places,
                text=list(splat.lines),
            )
            for splat in console.splats
        ],
    )


def encode(found: ParseResult) -> bytes:
    """Return the document as JSON."""
    return document.encode(found)


def json_schema() -> bytes:
    """Return its JSON Schema."""
    return document.schema_of(ParseResult)
