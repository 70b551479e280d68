"""Takes a scenario and the facts of a job, gives what of it that job takes.

Its flows, the column that judges them, and the boots they are spread over. Pure.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from harness import params
from harness.errors import UsageError
from harness.job import BootPlan, Job, Scenario, Series, VariantRule
from harness.scenario import SCENARIO_FILE
from harness.scenario_file import ALL, nearest


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What chooses a column: the job's inputs, never what a guest says.

    `cmdline` is the job's own part of the command line. `version` is the kernel's, None if it
    cannot be told. `has_series` is None for a kernel of the user's own.
    """

    cmdline: str
    version: tuple[int, int] | None
    has_series: bool | None
    flavors: tuple[str, ...] = ()


def facts(job: Job, *, version: tuple[int, int] | None, has_series: bool | None) -> Facts:
    """Return what of a job chooses a column."""
    return Facts(cmdline=job.cmdline, version=version, has_series=has_series, flavors=job.flavors)


def variant(scenario: Scenario, facts: Facts) -> str:
    """Return the column to judge by: the first whose conditions all hold.

    Raises:
        UsageError: none does.
    """
    given = frozenset(map(params.normal, params.parameters(facts.cmdline)))
    for rule in scenario.variants:
        if _holds(rule, facts, given):
            return rule.name
    raise UsageError(
        f"no variant of scenario {scenario.name} holds for this job",
        hint=f"name one with --expect, or end {SCENARIO_FILE} with one that needs nothing",
    )


def _holds(rule: VariantRule, facts: Facts, given: frozenset[str]) -> bool:
    has_option = rule.option is None or params.normal(rule.option) in given
    is_new = rule.since is None or (facts.version is not None and facts.version >= rule.since)
    # Of a kernel of the user's own nobody knows what it was built from. One that is given the
    # option is held to know it, and fails if it does not.
    has_series = rule.option is not None if facts.has_series is None else facts.has_series
    is_of_series = rule.series is None or rule.series == has_series
    has_flavor = rule.flavor is None or rule.flavor in facts.flavors
    return has_option and is_new and is_of_series and has_flavor


def check_variant(scenario: Scenario, name: str | None) -> None:
    """Check that a column the user asks for exists. None is no question.

    Raises:
        UsageError: it does not.
    """
    columns = tuple(dict.fromkeys(rule.name for rule in scenario.variants))
    if name is not None and name not in columns:
        raise UsageError(
            f"scenario {scenario.name} has no variant {name!r}{nearest(name, columns)}",
            hint=f"its variants: {', '.join(columns)}",
        )


def promised(scenario: Scenario, series: Series) -> Scenario:
    """Return the scenario without the expectations that hold from a later patch on only."""
    count = len(series.patches)
    later = [pattern for pattern, first in series.since if first > count]
    kept = tuple(
        each
        for each in scenario.expectations
        if not any(fnmatchcase(each.observe, pattern) for pattern in later)
    )
    return msgspec.structs.replace(scenario, expectations=kept) if later else scenario


def promised_from(series: Series, column: str) -> int:
    """Return the number of the patch from which on a column of a scenario holds."""
    return dict(series.since).get(column, 0)


def flows(scenario: Scenario, names: Sequence[str]) -> tuple[str, ...]:
    """Return the flows to run, in the order given: none named, the default; `all`, every one.

    Raises:
        UsageError: a name is no flow of the scenario.
    """
    if not names:
        return scenario.default_flows
    wanted: list[str] = []
    for flow in (flow for name in names for flow in name.split(",")):
        if flow == ALL:
            wanted += scenario.flows
            continue
        if flow not in scenario.flows:
            raise UsageError(
                f"scenario {scenario.name} has no flow {flow!r}{nearest(flow, scenario.flows)}",
                hint=f"its flows: {', '.join(scenario.flows)}",
            )
        wanted.append(flow)
    return tuple(dict.fromkeys(wanted))


def boots(scenario: Scenario, wanted: Sequence[str]) -> tuple[BootPlan, ...]:
    """Return the boots that `wanted` flows are spread over, in the order of their first flows.

    A boot has those of its flows that are wanted. A scenario without any flow is one boot.
    """
    shared = {flow: plan for plan in scenario.boots for flow in plan.flows}
    found: dict[tuple[str, ...], BootPlan] = {}
    for flow in wanted:
        plan = shared.get(flow) or BootPlan(flows=(flow,))
        has = tuple(name for name in wanted if name in plan.flows)
        found[has] = msgspec.structs.replace(plan, flows=has)
    return tuple(found.values()) or (BootPlan(flows=()),)


def kconfig(scenario: Scenario, plans: Sequence[BootPlan]) -> tuple[str, ...]:
    """Return what the scenario and these of its boots need of the kernel."""
    lines = (*scenario.kconfig, *(line for plan in plans for line in plan.kconfig))
    return tuple(dict.fromkeys(lines))


def for_variant(scenario: Scenario, plans: Sequence[BootPlan], name: str) -> tuple[BootPlan, ...]:
    """Return the boots that are meant for a job whose column is `name`.

    Raises:
        UsageError: none is.
    """
    kept = tuple(plan for plan in plans if not plan.only_in or name in plan.only_in)
    if not kept:
        flow, columns = plans[0].name, ", ".join(plans[0].only_in)
        raise UsageError(
            f"flow {flow} of scenario {scenario.name} is for {columns}, this job is {name}",
            hint="the column follows from series, command line and kernel version; "
            "--expect names another",
        )
    return kept
