"""The page of a bisect, and how Chromium shows it to everybody."""

from itertools import pairwise
from pathlib import Path

import pytest
from browsing import WIDTHS, blank, check, keep, opened
from playwright.sync_api import Browser

from harness import bisect_report
from harness.bisect_result import BisectResult, Ending, FirstBad, Suspect, TryResult
from harness.bisect_skipped import Skipped, Span
from harness.bisect_state import Over

NAMES = [f"{number:x}" * 40 for number in range(1, 7)]


def tried(number: int, class_: str, told: str, seconds: float, reason: str) -> TryResult:
    return TryResult(
        commit=NAMES[number], subject=f"fs: step {number}", outcome="fail", class_=class_,
        told=told, reason=reason, seconds=seconds, run=None,
    )  # fmt: skip


FIRST = FirstBad(
    commit=NAMES[3],
    subject="namespace: another errno",
    author="A Hacker <a@harness.invalid>",
    date="2026-01-12T10:00:00+00:00",
    stat=" fs/namespace.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)",
    evidence=["line 115: [    0.452192] harness: 122e0c5f 23 observe pivot.pivot_root=ELOOP"],
    parent=NAMES[2],
    parent_said="pass: all 33 expectations hold for variant unpatched",
    parent_evidence=["line 115: [    0.448100] harness: 3e78d9f6 23 observe pivot_root=EINVAL"],
    people=[],
    message_id=None,
)


def result(signature: str = "pivot.pivot_root is ELOOP") -> BisectResult:
    """Return a bisect with a try of each class."""
    return BisectResult(
        id="20260112-100000-c0ffee00",
        version="0.1.0",
        ended=Ending.FOUND,
        over=Over.COMMITS,
        looked_for="bad",
        good="v6.18",
        bad="HEAD",
        ends={"good": "pass: all 33 expectations hold", "bad": f"fail: {signature}"},
        signature=signature,
        first_bad=FIRST,
        minimal=[],
        confidence=1.0,
        suspects=[Suspect(commit=NAMES[3], subject=FIRST.subject, likelihood=1.0)],
        tries=[
            tried(5, "bad", "bad", 0.7, signature),
            tried(0, "good", "good", 5.0, "all 33 expectations hold"),
            tried(1, "other", "other", 4.0, "panic: another bug"),
            tried(4, "untestable", "untestable", 2.0, "the kernel does not build: fs/statfs.c"),
            tried(3, "bad", "bad", 4.0, signature),
            tried(2, "reused", "good", 3.0, "all 33 expectations hold"),
        ],
        relevant=5,
        total=64,
        skipped=[
            Skipped(
                outcome="panic",
                class_="other",
                title="panic: another bug",
                commits=[NAMES[1]],
                began=Span(after=NAMES[0], until=NAMES[1], commits=3),
                ended=None,
            )
        ],
        proofs=2,
        seconds=20.0,
        repro=f"harness bisect --good {NAMES[0]} --bad {NAMES[5]} --tree /a/folder/of/linux.git",
        is_merge_base=False,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_read_the_page(
    browser: Browser, tmp_path: Path, width: str, scheme: str
) -> None:
    page = blank(browser, width, scheme)
    said = opened(page, bisect_report.page(result()), tmp_path)
    keep(page, f"bisect-{width}-{scheme}", tmp_path)
    check(page, width)
    assert said == []
    page.close()


def test_the_tries_follow_each_other_on_the_timeline(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": WIDTHS["desk"], "height": 900})
    opened(page, bisect_report.page(result()), tmp_path)
    boxes = [each.bounding_box() for each in page.locator(".bar").all()]
    spans = [(box["x"], box["x"] + box["width"]) for box in boxes if box]
    assert len(spans) == 6
    for (_, end), (start, _) in pairwise(spans):
        assert start == pytest.approx(end, abs=3)
    assert spans[1][1] - spans[1][0] > 5 * (spans[0][1] - spans[0][0])
    page.close()


def test_what_a_guest_says_is_text_and_nothing_else(browser: Browser, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script><img src=http://harness.invalid/ onerror=alert(2)>"
    page = browser.new_page()
    said = opened(page, bisect_report.page(result(hostile)), tmp_path)
    assert said == []
    assert hostile in page.locator("main").inner_text()
    page.close()
