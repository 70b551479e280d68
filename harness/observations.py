"""`harness.observations/1`: what a kernel did, flow by flow, with nothing judged. Pure.

docs/observations.schema.json is made from these structs.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from harness import __version__, document
from harness.errors import Outcome
from harness.result import RunResult

SCHEMA = "harness.observations/1"

# How a guest ends that has not said all it had to say.
_CUT_SHORT = frozenset(
    {Outcome.PANIC, Outcome.OOPS, Outcome.HANG, Outcome.RESET, Outcome.NO_OUTPUT}
)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What was observed: the kernel, and what it was given."""

    series: str
    patches: int
    base: str | None
    kernel: str | None
    """The image, where it is the user's own."""
    release: str | None
    profile: str
    flavors: list[str]
    kconfig: list[str]
    arch: str
    scenario: str
    cmdline: str


class FlowObservations(msgspec.Struct, frozen=True, kw_only=True):
    """What one flow observed, by name, in the order in which it was."""

    flow: str
    observations: dict[str, str]


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """Flows whose boot did not come to its end, and why not."""

    flows: list[str]
    reason: str


class Observations(msgspec.Struct, frozen=True, kw_only=True):
    """All that was observed. `reports` are the titles of kernel reports (WARNING, oops, …)."""

    schema: str = SCHEMA
    version: str = __version__
    subject: Subject
    ran: list[str]
    """The flows that ran."""
    flows: list[FlowObservations]
    """What was observed, by the flow that the names say: one of `ran`, as a rule."""
    reports: list[str]
    unknown_parameters: list[str]
    """Those of the command line that the kernel passed on to user space."""
    unfinished: list[Unfinished]
    not_booted: list[Unfinished] = []
    """Flows that were not come to, or that the kernel lacks something for."""


def encode(observed: Observations) -> bytes:
    """Return the JSON document."""
    return document.encode(observed)


def decode(data: bytes) -> Observations:
    """Read one back.

    Raises:
        msgspec.DecodeError: it is not one of this schema.
    """
    observed = msgspec.json.decode(data, type=Observations)
    if observed.schema != SCHEMA:
        raise msgspec.ValidationError(f"its schema is {observed.schema!r}, expected {SCHEMA!r}")
    return observed


def json_schema() -> bytes:
    """Return the JSON Schema of `harness observe --json`."""
    return document.schema_of(Observations)


def by_flow(pairs: Iterable[tuple[str, str]], flows: Sequence[str]) -> dict[str, dict[str, str]]:
    """Sort (name, value) pairs of boots that ran `flows`: flow → name → value.

    The flow is the part of the name before the dot, if that is one of them; else the only flow
    there was, or what that part says.
    """
    found: dict[str, dict[str, str]] = {flow: {} for flow in flows}
    for name, value in pairs:
        head = name.partition(".")[0]
        flow = head if head in flows or len(flows) != 1 else flows[0]
        found.setdefault(flow, {})[name] = value
    return found


def listed(flows: Mapping[str, Mapping[str, str]]) -> list[FlowObservations]:
    """Return what `by_flow` gives as a document has it."""
    return [FlowObservations(flow=flow, observations=dict(seen)) for flow, seen in flows.items()]


def of_run(run: RunResult) -> Observations:
    """Return what a run observed, whatever was thought of it."""
    job = run.job
    ran = [flow for boot in run.boots for flow in boot.flows] or job.flows
    return Observations(
        version=run.version,
        subject=Subject(
            series=job.series,
            patches=len(job.patches),
            base=job.base,
            kernel=job.kernel,
            release=job.release,
            profile=job.profile,
            flavors=job.flavors,
            kconfig=job.kconfig,
            arch=job.arch,
            scenario=job.scenario,
            cmdline=job.cmdline,
        ),
        ran=ran,
        flows=listed(by_flow(run.observations.items(), ran)),
        reports=list(dict.fromkeys(splat.title for splat in run.splats)),
        unknown_parameters=[],
        unfinished=[
            Unfinished(flows=boot.flows, reason=boot.reason)
            for boot in run.boots
            if boot.outcome in _CUT_SHORT
        ],
        not_booted=[Unfinished(flows=[each.name], reason=each.reason) for each in run.not_booted],
    )
