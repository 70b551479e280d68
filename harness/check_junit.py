"""Renders a gate as JUnit: a suite a patch, a case a stage, a boot, and its warnings."""

from harness import check_cases
from harness.check_cases import Status, Suite
from harness.check_result import CheckResult

# What XML 1.0 has no way to hold, besides the controls that are spelled out already.
_NO_XML = dict.fromkeys((0xFFFE, 0xFFFF), "\ufffd")


def xml(result: CheckResult) -> bytes:
    """Return the document."""
    import junitparser  # noqa: PLC0415 - only who asks for it pays for it

    whole = junitparser.JUnitXml(name="harness check")
    for suite in check_cases.suites(result):
        made = junitparser.TestSuite(_text(f"{suite.name}: {suite.title}"))
        made.timestamp = result.started.removesuffix("Z")
        for case in suite.cases:
            found = junitparser.TestCase(
                _text(case.name), classname=_class_of(suite), time=round(case.seconds, 3)
            )
            kind = {
                Status.FAIL: junitparser.Failure,
                Status.ERROR: junitparser.Error,
                Status.SKIP: junitparser.Skipped,
            }.get(case.status)
            if kind is not None:
                said = kind(_text(case.why))
                said.text = _text("\n".join([case.why, *case.lines]))
                found.result = [said]
            made.add_testcase(found)
        whole.add_testsuite(made)
    whole.update_statistics()
    return bytes(whole.tostring())


def _class_of(suite: Suite) -> str:
    return f"harness.{suite.name}"


def _text(value: str) -> str:
    return value.translate(_NO_XML)
