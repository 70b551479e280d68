"""Whether a result shows a finding, and what of a part one try settles: no kernel."""

import msgspec
import pytest

from harness import signature
from harness.bisect_history import Listed, Range
from harness.bisect_state import Over, Question, State, Try
from harness.errors import Outcome
from harness.job import Job
from harness.signature import Class, Facts

WARNS = Facts(outcome=Outcome.WARN, reason="late", titles=("WARNING in late",))


def test_what_dies_early_is_no_good_end_for_what_comes_late() -> None:
    early = Facts(outcome=Outcome.PANIC, reason="early crash", titles=("early crash",))
    assert signature.of(WARNS, early) is None
    fine = Facts(outcome=Outcome.PASS, reason="")
    found = signature.of(WARNS, fine)
    assert found is not None
    assert signature.classify(found, early, fine) is Class.OTHER


def test_a_finding_that_the_good_end_has_too_is_not_in_the_way() -> None:
    same = Facts(outcome=Outcome.FAIL, reason="a known failure", wrong={"x": "1"})
    found = signature.of(WARNS, same)
    assert found is not None
    assert signature.classify(found, same, same) is Class.GOOD


def tried(part: str, told: Class) -> Try:
    return Try(
        commit=part, outcome="pass", class_=told.value, told=told, reason="", seconds=1.0,
        build_s=0.0, run="",
    )  # fmt: skip


@pytest.mark.parametrize(("fixed", "shows"), [(False, Class.BAD), (True, Class.GOOD)])
def test_of_a_finding_that_comes_and_goes_one_boot_without_it_settles_nothing(
    *, fixed: bool, shows: Class
) -> None:
    items = tuple(Listed(name=name, parents=(), subject="", files=()) for name in "abcd")
    state = State(
        id="x",
        question=Question(
            job=Job(series="none", profile="tiny"), old="", new="", over=Over.CMDLINE,
            fixed=fixed, rounds=8,
        ),
        between=Range(old="none", new="1-4", commits=items),
    )  # fmt: skip
    asked = state.step().ask
    assert asked == "1-2"
    once = msgspec.structs.replace(state, tries=(tried(asked, Class.GOOD),))
    # One boot without the finding: of a repair as of a cause, it is asked again.
    assert once.step().ask == asked
    seen = msgspec.structs.replace(state, tries=(tried(asked, Class.BAD),))
    assert seen.step().ask != asked
    often = msgspec.structs.replace(state, tries=(tried(asked, Class.GOOD),) * 8)
    assert often.step().ask not in (asked, None)
    # What eight boots say is what the part brings, or lacks.
    assert (often.step().ask == "1-1") is (shows is Class.GOOD)
