"""The page of claims: a row a claim, a column a variant."""

import msgspec
import pytest

from harness import claims
from harness.errors import Outcome, UsageError
from harness.result import ExpectationResult, HostResult, JobResult, RunResult, VerdictResult


def _row(
    name: str,
    observed: str | None,
    expected: str = "0",
    *,
    claim: str = "cover letter: it | works",
    promised: str | None = None,
) -> ExpectationResult:
    ok = observed == expected
    return ExpectationResult(
        name=name, expected=expected, observed=observed, ok=ok, claim=claim, promised=promised,
        finding=ok and promised is not None,
    )  # fmt: skip


def _run(variant: str, release: str, *rows: ExpectationResult, scenario: str = "s") -> RunResult:
    return RunResult(
        id="i", version="0", started="",
        verdict=VerdictResult(outcome=Outcome.PASS, reason="so", evidence=[]),
        job=JobResult(
            series="s", patches=[], base=None, source=None, tree_hash=None, kernel=None,
            release=release, profile="tiny", flavors=[], kconfig=[], arch="x86_64",
            scenario=scenario, flows=[], cmdline="", variant=variant, memory_mib=1, deadline_s=1.0,
        ),
        stages=[], observations={}, expectations=list(rows), unexpected=[], splats=[], boot=None,
        host=HostResult(harness="0", python="3", system="x", cpus=1, tools={}),
        repro="harness boot", files={},
    )  # fmt: skip


def test_what_runs_have_said_is_text_and_no_markup() -> None:
    hostile = "<script>x</script> [a](javascript:b) `c` \x1b[2J"
    page = claims.page([_run("on", "1", _row("a.x", hostile, claim=f"mail: {hostile}"))])
    line = _line(page, "a.x")
    # HTML and links are not begun but where code is, which a backtick would end.
    assert line.count("<") == line.count(r"\<") + 2
    assert r"\<script>x\</script> \[a\](javascript:b) \`c\` \\x1b\[2J" in line
    assert r"`<script>x</script> [a](javascript:b) 'c' \x1b[2J`" in line


def _line(page: str, name: str) -> str:
    return next(line for line in page.splitlines() if f"`{name}`" in line and line[0] == "|")


def test_a_column_a_variant_and_whether_it_holds() -> None:
    page = claims.page(
        [
            _run("on", "6.18.5", _row("a.x", "0"), _row("a.y", "1")),
            _run("off", "6.18.5", _row("a.x", "EINVAL", "EINVAL")),
        ]
    )
    assert "2 claims: 1 hold, 0 are not as promised, 1 do not hold." in page
    assert _line(page, "a.x") == ("| it \\| works | cover letter | `a.x` | `0` | `EINVAL` | yes |")
    assert _line(page, "a.y") == "| it \\| works | cover letter | `a.y` | `1` [`0`] | - | **no** |"
    assert "- `a.y`: cover letter: it | works" in page


def test_kernels_of_a_column_are_told_apart_where_they_differ() -> None:
    runs = [
        _run("on", kernel, _row("a.x", seen, seen)) for kernel, seen in (("1", "2"), ("3", "4"))
    ]
    assert "| `2` (1), `4` (3) | yes |" in claims.page(runs)


def test_a_broken_promise_and_what_nobody_observed() -> None:
    rows = (_row("a.x", "0", promised="1"), _row("a.y", None))
    page = claims.page([_run("on", "1", *rows)])
    assert "| `0` [promised `1`] | **not as promised** |" in page
    assert "| - [`0`] | **no** |" in page


def test_what_every_boot_says_is_said_once() -> None:
    rows = [_row(f"{flow}.said", "0") for flow in "abc"] + [_row("d.said", "1", "1")]
    page = claims.page([_run("on", "1", *rows)])
    assert page.count("it \\| works") == 2
    assert "## every boot" in page


def test_runs_that_cannot_share_a_page() -> None:
    with pytest.raises(UsageError, match="several scenarios: s, t"):
        claims.page([_run("on", "1"), _run("on", "1", scenario="t")])
    with pytest.raises(UsageError, match="no run of scenario s has an expectation"):
        claims.page([_run("on", "1")])


def test_an_old_run_without_boots_can_be_read() -> None:
    data = msgspec.json.decode(msgspec.json.encode(_run("on", "1", _row("a.x", "0"))))
    del data["boots"]
    assert msgspec.convert(data, RunResult).boots == []
