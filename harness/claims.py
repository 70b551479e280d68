"""Takes runs of one scenario, gives a Markdown page: a row a claim, what was observed, if it holds.

Pure. Runs that were judged by one variant share a column.
"""

from collections.abc import Sequence

import msgspec

from harness import printable
from harness.errors import UsageError
from harness.result import ExpectationResult, RunResult

NOTHING = "-"
EVERYWHERE = "every boot"
_HOLDS = "yes"
_BROKEN = "**no**"
_FINDING = "**not as promised**"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An expectation and what came of it in each run that has it, by variant and kernel."""

    name: str
    text: str
    seen: dict[str, dict[str, ExpectationResult]]


def collect(runs: Sequence[RunResult]) -> list[Claim]:
    """Return the claims of the runs, in the order of the table of expectations."""
    found: dict[str, Claim] = {}
    for run in runs:
        for row in run.expectations:
            claim = found.setdefault(row.name, Claim(name=row.name, text=row.claim, seen={}))
            claim.seen.setdefault(run.job.variant, {})[kernel_of(run)] = row
    return list(found.values())


def _gather(claims: Sequence[Claim]) -> list[Claim]:
    """Make one claim of those that are one: made in every boot, and everywhere with one result."""
    alike: dict[tuple[str, str, tuple[str, ...]], list[Claim]] = {}
    for claim in claims:
        thing = claim.name.partition(".")[2]
        values = tuple(f"{column} {_observed(seen)}" for column, seen in claim.seen.items())
        alike.setdefault((thing, claim.text, values), []).append(claim)
    gathered = [
        msgspec.structs.replace(same[0], name=f"{EVERYWHERE}.{thing}")
        for (thing, _, _), same in alike.items()
        if len(same) > 1
    ]
    single = {id(same[0]) for same in alike.values() if len(same) == 1}
    return [*(claim for claim in claims if id(claim) in single), *gathered]


def kernel_of(run: RunResult) -> str:
    """Return what tells a run's kernel from another's of the same variant."""
    return " + ".join([run.job.release or run.job.base or "?", *run.job.flavors])


def page(runs: Sequence[RunResult]) -> str:
    """Return the page.

    Raises:
        UsageError: the runs are of several scenarios, or judged nothing.
    """
    scenarios = sorted({run.job.scenario for run in runs})
    if len(scenarios) != 1:
        raise UsageError(
            f"the runs are of several scenarios: {', '.join(scenarios)}",
            hint="one page is about one scenario; see `harness show --list`",
        )
    claims = _gather(collect(runs))
    if not claims:
        raise UsageError(f"no run of scenario {scenarios[0]} has an expectation to show")
    columns = list(dict.fromkeys(run.job.variant for run in runs))
    lines = [f"# What the scenario {scenarios[0]} claims, and what kernels do", ""]
    lines += _runs(runs)
    lines += _summary(claims)
    flow = None
    for claim in claims:
        own = claim.name.partition(".")[0]
        if own != flow:
            flow = own
            lines += ["", f"## {flow}", "", *_head(columns)]
        lines.append(_row(claim, columns))
    return "\n".join(lines) + "\n"


def _runs(runs: Sequence[RunResult]) -> list[str]:
    lines = [
        "Made by `harness claims` from these runs:",
        "",
        "| column | kernel | verdict | command |",
        "|---|---|---|---|",
    ]
    for run in runs:
        verdict = f"{run.verdict.outcome.value}: {run.verdict.reason}"
        cells = (
            run.job.variant,
            kernel_of(run),
            printable.prose(verdict),
            printable.code(run.repro),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _summary(claims: Sequence[Claim]) -> list[str]:
    states = [_state(claim) for claim in claims]
    counts = (
        f"{len(claims)} claims: {states.count(_HOLDS)} hold, {states.count(_FINDING)} are not as "
        f"promised, {states.count(_BROKEN)} do not hold."
    )
    lines = [counts, "A value in brackets is what was expected or promised."]
    for state, title in ((_FINDING, "Not as promised"), (_BROKEN, "Does not hold")):
        rows = [c for c, found in zip(claims, states, strict=True) if found == state]
        if rows:
            lines += ["", f"{title}:", "", *(f"- `{c.name}`: {c.text}" for c in rows)]
    return lines


def _head(columns: Sequence[str]) -> list[str]:
    names = ["claim", "source", "observation", *columns, "holds"]
    return [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]


def _row(claim: Claim, columns: Sequence[str]) -> str:
    source, colon, text = claim.text.partition(": ")
    if not colon:
        source, text = "", claim.text
    cells = [
        printable.prose(text),
        printable.prose(source),
        f"`{claim.name}`",
        *(_observed(claim.seen.get(column, {})) for column in columns),
        _state(claim),
    ]
    return f"| {' | '.join(cells)} |"


def _observed(seen: dict[str, ExpectationResult]) -> str:
    """Return a column's values: one if all its kernels agree, else each with its kernels."""
    kernels: dict[str, list[str]] = {}
    for kernel, row in seen.items():
        value = NOTHING if row.observed is None else printable.code(row.observed)
        if not row.ok:
            value += f" [{printable.code(row.expected)}]"
        elif row.finding:
            value += f" [promised {printable.code(row.promised or '')}]"
        kernels.setdefault(value, []).append(kernel)
    if len(kernels) == 1:
        return next(iter(kernels))
    return ", ".join(f"{value} ({', '.join(names)})" for value, names in kernels.items()) or NOTHING


def _state(claim: Claim) -> str:
    rows = [row for column in claim.seen.values() for row in column.values()]
    if not all(row.ok for row in rows):
        return _BROKEN
    return _FINDING if any(row.finding for row in rows) else _HOLDS
