"""Takes a console and a scenario's boot, adds what the host itself observes. Pure, judges nothing.

Some of what a kernel does no guest can see: what it says, what it does not know, why it died.
Those become observations like the guest's own, for the same table to judge.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec

from harness.errors import Outcome
from harness.evidence import NOWHERE, find
from harness.job import BootPlan, Console, LogObservation, Observation, Scenario
from harness.scenario_file import ANY

UNKNOWN_PARAMETERS = "unknown-parameters"
PANIC = "panic"
KTAP = "ktap"
NONE = "none"
"""The value where there is no such parameter, or no panic."""


def words(scenario: Scenario) -> tuple[str, ...]:
    """Return what to look for among the words of the kernel."""
    return tuple(row.text for row in scenario.log_observations)


def add(console: Console, scenario: Scenario, plan: BootPlan) -> Console:
    """Return the console with the host's observations behind the guest's."""
    own = [
        *_lines(console, scenario.log_observations, plan),
        *(_unknown_parameters(console, plan) if UNKNOWN_PARAMETERS in plan.observe else ()),
        *(_panic(console, plan) if PANIC in plan.observe else ()),
        *(_ktap(console, plan) if KTAP in plan.observe else ()),
    ]
    return msgspec.structs.replace(console, observations=(*console.observations, *own))


def _lines(
    console: Console, wanted: tuple[LogObservation, ...], plan: BootPlan
) -> Iterator[Observation]:
    for row in wanted:
        if row.flow in (ANY, *plan.flows):
            line = console.watched.get(row.text, NOWHERE)
            value = "no" if line == NOWHERE else "yes"
            yield Observation(name=name_in(row.observe, plan), value=value, line=line)


def _unknown_parameters(console: Console, plan: BootPlan) -> Iterator[Observation]:
    words = " ".join(console.unknown_parameters) or NONE
    line = find(console, "Unknown kernel command line parameters ")
    yield Observation(name=f"{plan.name}.unknown_parameters", value=words, line=line)


def _panic(console: Console, plan: BootPlan) -> Iterator[Observation]:
    name = f"{plan.name}.panic"
    for splat in console.splats:
        if splat.outcome is Outcome.PANIC:
            yield Observation(name=name, value=splat.title, line=splat.line)
            return
    yield Observation(name=name, value=NONE, line=NOWHERE)


def _ktap(console: Console, plan: BootPlan) -> Iterator[Observation]:
    """Yield each result as `FLOW.TEST`; where a test has been there before, as `FLOW.TEST#2`."""
    counts: Counter[str] = Counter()
    for result in console.ktap:
        name = f"{plan.flows[0]}.{result.name}"
        counts[name] += 1
        again = f"#{counts[name]}" if counts[name] > 1 else ""
        yield Observation(name=name + again, value=result.status, line=result.line)


def name_in(name: str, plan: BootPlan) -> str:
    """Return the name of an observation that every boot makes, `*.thing`, in this boot."""
    return f"{plan.name}{name[1:]}" if name.startswith(f"{ANY}.") else name
