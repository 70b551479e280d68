"""Reads data/splats.toml: the forms of kernel reports, and how their titles are made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from harness import patterns
from harness.errors import Outcome


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of report; splats.toml says what the fields mean. Expressions are source text."""

    name: str
    kind: str
    outcome: Outcome
    start: str
    title: str
    where: tuple[str, ...]
    end: str
    absorbs: frozenset[str]
    rank: int
    is_last: bool
    is_anyones: bool

    @property
    def family(self) -> str:
        """The first word of its name: what other rules absorb it by."""
        return self.name.partition("-")[0]


class Start(NamedTuple):
    """A rule and how its `start` matched."""

    rule: Rule
    match: re.Match[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """splats.toml.

    `prefilter` is the start of any rule, as regex source; lines that a start with a needle
    matches are found by its needle alone.
    """

    rules: tuple[Rule, ...]
    prefilter: str
    needles: tuple[str, ...]
    ends: dict[str, str]
    reporting: str
    waiting: str
    names: patterns.Replacements
    scrub: patterns.Replacements

    def first_match(self, text: str) -> Start | None:
        """Return the first rule that the text of a kernel line starts."""
        if text.endswith("[inline]"):
            # A tool that decodes addresses repeats the line for each inlined function.
            return None
        for rule in self.rules:
            match = patterns.compiled(rule.start).match(text)
            if match:
                return Start(rule, match)
        return None

    def plain(self, func: str) -> str:
        """Return a function's name as its source has it: no compiler suffix, no wrapper."""
        return patterns.replace(self.names, func)


def read(data: Mapping[str, Any]) -> Rules:
    """Read splats.toml, parsed. A malformed one raises whatever comes first: it is ours."""
    rows = data["rule"]
    kinds = data["kinds"]
    return Rules(
        rules=tuple(
            Rule(
                name=row["name"],
                kind=row["kind"],
                outcome=Outcome(row.get("outcome", kinds[row["kind"]][0])),
                start=row["start"],
                title=row["title"],
                where=tuple(row.get("where", ("start", "pc", "frames"))),
                end=row["end"],
                absorbs=frozenset(row.get("absorbs", ())),
                rank=row.get("rank", 0),
                is_last=row.get("last", False),
                is_anyones=row.get("anyone", False),
            )
            for row in rows
        ),
        prefilter=patterns.any_of([row["start"] for row in rows if "needle" not in row]),
        needles=tuple(row["needle"] for row in rows if "needle" in row),
        ends=data["ends"],
        reporting="|".join(f"(?:{source})" for source in data["skip"]["reporting"]),
        waiting="|".join(f"(?:{source})" for source in data["skip"]["waiting"]),
        names=tuple((source, into) for source, into in data["names"]["replace"]),
        scrub=tuple((source, into) for source, into in data["scrub"]["replace"]),
    )


@cache
def load() -> Rules:
    """Return the rules that ship with the tool."""
    # Only who parses a console pays for these.
    import tomllib  # noqa: PLC0415
    from importlib import resources  # noqa: PLC0415

    text = resources.files("harness").joinpath("data/splats.toml").read_text(encoding="utf-8")
    return read(tomllib.loads(text))
