"""Renders a gate as KTAP 1: a test a patch, its stages, boots and warnings as subtests. Pure."""

from collections.abc import Iterator

from harness import check_cases
from harness.check_cases import Case, Status
from harness.check_result import CheckResult

_DIRECTIVES = {Status.SKIP: "SKIP", Status.ERROR: "ERROR"}


def text(result: CheckResult) -> str:
    """Return the document."""
    suites = [suite for suite in check_cases.suites(result) if suite.cases]
    lines = ["KTAP version 1", f"1..{len(suites)}"]
    for number, suite in enumerate(suites, 1):
        lines += ["  KTAP version 1", f"  # Subtest: {_name(suite.name)}",
                  f"  1..{len(suite.cases)}"]  # fmt: skip
        for at, case in enumerate(suite.cases, 1):
            lines += [f"  {line}" for line in _case(at, case)]
        lines += _case(number, suite.whole)
    return "\n".join(lines) + "\n"


def _case(number: int, case: Case) -> Iterator[str]:
    """Yield why a case is no pass, and its result. A name has no `#`: that begins a directive."""
    if case.status is not Status.PASS:
        # Why something was skipped stands behind its directive.
        why = "" if case.status is Status.SKIP else case.why
        said = "\n".join(filter(None, [why, *case.lines]))
        yield from (f"# {line}" for line in said.splitlines())
    word = "ok" if case.status in {Status.PASS, Status.SKIP} else "not ok"
    directive = _DIRECTIVES.get(case.status)
    why = case.why.replace("\n", " ").replace("#", "")
    end = f" # {directive} {why}".rstrip() if directive else ""
    yield f"{word} {number} {_name(case.name)}{end}"


def _name(value: str) -> str:
    return value.replace("#", "").replace("\n", " ")
