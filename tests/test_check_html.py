"""The page of a gate: its diff, its consoles, and how Chromium shows it to everybody."""

from pathlib import Path

import check_samples as samples
import msgspec
import pytest
from browsing import WIDTHS, blank, check, keep, opened
from playwright.sync_api import Browser

from harness import check_console, check_diff, check_reports
from harness.check_result import CheckResult, Severity, WarningResult, Word


def make(result: CheckResult) -> str:
    return check_reports.make("html", result, samples.logs(result)).decode()


def warning(file: str, line: int | None, message: str = "bad") -> WarningResult:
    return WarningResult(
        check="gcc", file=file, line=line, flag="-W", message=message, function="",
        severity=Severity.ERROR, text=[],
    )  # fmt: skip


# --- its diff ---------------------------------------------------------------------------------

DIFF = """diff --git a/fs/a.c b/fs/a.c
index 1..2 100644
--- a/fs/a.c
+++ b/fs/a.c
@@ -7,4 +7,5 @@ static void f(void)
 kept
--- a removed line that looks like a header
-old(1);
+new(1);
+++ b added
+more
 kept too
\\ No newline at end of file
diff --git a/new.c b/new.c
new file mode 100644
--- /dev/null
+++ b/new.c
@@ -0,0 +1 @@
+first
diff --git a/was.c b/now.c
similarity index 100%
rename from was.c
rename to now.c
diff --git a/gone b/gone
deleted file mode 100755
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-x
"""


def test_a_diff_has_its_files_and_the_numbers_of_both_sides() -> None:
    files = check_diff.place(DIFF, (), most=100).files
    assert [(file.path, file.added, file.removed) for file in files] == [
        ("fs/a.c", 3, 2), ("new.c", 1, 0), ("now.c", 0, 0), ("gone", 0, 1)
    ]  # fmt: skip
    assert [(line.kind, line.old, line.new) for line in files[0].lines] == [
        ("hunk", None, None), ("context", 7, 7), ("removed", 8, None), ("removed", 9, None),
        ("added", None, 8), ("added", None, 9), ("added", None, 10), ("context", 10, 11),
    ]  # fmt: skip
    assert [line.text for line in files[2].lines] == ["rename from was.c", "rename to now.c"]


def test_a_warning_stands_at_its_line_at_its_file_or_by_itself() -> None:
    said = [warning("fs/a.c", 9, "here"), warning("fs/a.c", 900, "in no hunk"),
            warning("fs/a.c", 9, "and here"), warning("fs/b.c", 9, "elsewhere"),
            warning("", None, "of the message")]  # fmt: skip
    placed = check_diff.place(DIFF, said, most=100)
    here = [line for line in placed.files[0].lines if line.warnings]
    assert [(line.new, [each.message for each in line.warnings]) for line in here] == [
        (9, ["here", "and here"])
    ]
    assert [each.message for each in placed.files[0].warnings] == ["in no hunk"]
    assert [each.message for each in placed.elsewhere] == ["elsewhere", "of the message"]


def test_what_is_cut_off_a_diff_is_counted_and_keeps_its_warnings() -> None:
    said = [warning("fs/a.c", 11), warning("new.c", 1)]
    first, second, *_ = check_diff.place(DIFF, said, most=4).files
    assert (len(first.lines), first.left_out, len(second.lines), second.left_out) == (4, 4, 0, 3)
    assert [len(first.warnings), len(second.warnings)] == [1, 1]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("a = f(1);", "a = f(2);", (["-a = f(", "1", ");"], ["+a = f(", "2", ");"])),
        ("a = f();", "a = f(x);", (["-a = f(", ");"], ["+a = f(", "x", ");"])),
        ("aaa", "aaaa", (["-aaa"], ["+aaa", "a"])),
        ("one", "two and more", (["-one"], ["+two and more"])),
        ("", "x", (["-"], ["+x"])),
    ],
)
def test_what_differs_in_a_line_is_marked(old: str, new: str, parts: tuple[list[str], ...]) -> None:
    diff = f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{old}\n+{new}\n"
    lines = check_diff.place(diff, (), most=9).files[0].lines[1:]
    assert tuple([part.text for part in line.parts] for line in lines) == parts


def test_a_diff_that_is_cut_short_is_shown_as_far_as_it_goes() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n kept"
    assert [line.text for line in check_diff.place(diff, (), most=9).files[0].lines] == [
        "@@ -1,9 +1,9 @@", " kept"
    ]  # fmt: skip
    assert check_diff.place("no diff at all\n", (), most=9).files == ()


# --- its consoles -----------------------------------------------------------------------------

PANIC = (Path(__file__).parent / "corpus/console/death-panic.log").read_bytes()
PANIC = PANIC.partition(b"\n\n")[2]


def test_a_report_on_a_console_is_folded_and_nothing_is_lost() -> None:
    shown = check_console.show(PANIC, most=100)
    assert [(part.first, part.size, part.title) for part in shown.stretches] == [
        (1, 6, ""), (7, 24, "panic: dumptest")
    ]  # fmt: skip
    rows = [row for part in shown.stretches for row in part.lines]
    assert rows == PANIC.decode().splitlines()
    assert (shown.size, shown.reports) == (30, 1)


def test_a_long_console_keeps_its_ends_and_what_is_around_a_report() -> None:
    noise = "".join(f"[    0.{n:06}] line {n}\r\n" for n in range(1, 5001)).encode()
    shown = check_console.show(noise + PANIC + noise, most=20)
    assert shown.size == 10030
    assert [(part.first, part.size, bool(part.lines), part.title) for part in shown.stretches] == [
        (1, 8, True, ""),
        (9, 4990, False, ""),
        (4999, 8, True, ""),
        # It is cut short, so that it has no end of its own.
        (5007, 80, True, "panic: dumptest"),
        (5087, 4932, False, ""),
        (10019, 12, True, ""),
    ]


def test_a_console_shows_no_escapes_and_no_endless_line() -> None:
    shown = check_console.show(b"\x1b[2Jx\x07\xe2\x80\xaey\n" + b"z" * 100_000, most=9)
    assert shown.stretches[0].lines == ("x\\x07\\u202ey", "z" * 300 + "…")
    assert check_console.show(b"", most=9).size == 1


def test_the_phases_of_a_boot_are_those_on_its_console() -> None:
    found = samples.good()
    console = samples.logs(found).console(found.base.boots[0])
    assert console is not None
    assert [(phase.name, phase.begin, phase.end) for phase in check_console.phases(console)] == [
        ("kernel", 0.0, 0.44392),
        ("init", 0.44392, 0.491682),
        ("scenario", 0.491682, 0.522975),
        ("end", 0.522975, 0.52931),
    ]
    assert [phase.name for phase in check_console.phases(PANIC)] == ["kernel", "init", "end"]
    assert check_console.phases(b"no clock here\n") == []


# --- the page ---------------------------------------------------------------------------------


def test_the_page_shows_what_is_hostile_and_obeys_none_of_it() -> None:
    shown = make(samples.hostile())
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert samples.is_harmless(shown)


def test_the_page_is_bounded_whatever_the_gate_is() -> None:
    found = samples.result()
    patch = found.patches[2]
    long = msgspec.structs.replace(
        patch,
        diff="--- a/x\n+++ b/x\n@@ -0,0 +1,3000 @@\n" + f"+{'x' * 600}\n" * 3000,
        warnings_new=patch.warnings_new * 100,
        behaviour=patch.behaviour * 100,
        evidence=["y" * 200] * 1000,
    )
    many = [msgspec.structs.replace(long, number=number) for number in range(1, 11)]
    shown = make(msgspec.structs.replace(found, patches=many))
    assert len(shown) < 10 << 20
    assert "1801 lines left out" in shown
    assert "240 more rows in check.json" in shown
    assert "340 more new warnings in check.json" in shown


def test_a_console_that_is_gone_is_linked_and_one_that_was_cut_is_said_to_be() -> None:
    found = samples.result()
    logs = samples.logs(found)
    path = f"{found.base.boots[0].run}/console.log"
    without = msgspec.structs.replace(
        logs, files={name: data for name, data in logs.files.items() if name != path},
        cut=frozenset(logs.files),
    )  # fmt: skip
    shown = check_reports.make("html", found, without).decode()
    assert f'Console: <a href="{path}">' in shown
    assert shown.count("Only the end of this log was read.") == 4


# --- in a browser -----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_read_the_page(
    browser: Browser, tmp_path: Path, width: str, scheme: str
) -> None:
    page = blank(browser, width, scheme)
    said = opened(page, make(samples.result()), tmp_path)
    keep(page, f"check-{width}-{scheme}", tmp_path)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    check(page, width)
    assert said == []
    # A table stays one to a screen reader, in whatever shape it is shown.
    rows = page.get_by_role("table", name="Each patch, and how each stage went").get_by_role("row")
    assert rows.count() == 7
    assert rows.nth(6).get_by_role("cell").nth(2).inner_text().endswith("untested")
    page.close()


def test_nothing_has_to_be_scrolled_sideways(browser: Browser, tmp_path: Path) -> None:
    found = samples.result()
    widest = msgspec.structs.replace(
        found.patches[4], apply=Word.ALREADY_APPLIED, config=Word.ALREADY_APPLIED
    )
    for patches in (found.patches, [widest]):
        page = browser.new_page()
        opened(page, make(msgspec.structs.replace(found, patches=patches)), tmp_path)
        for media, widths in (("screen", range(320, 1500, 60)), ("print", range(700, 1100, 100))):
            page.emulate_media(media="print" if media == "print" else "screen")
            for width in widths:
                page.set_viewport_size({"width": width, "height": 600})
                # Nothing stands out of the column of text either.
                over = page.evaluate(
                    "[document.documentElement, document.querySelector('main')]"
                    ".map(each => each.scrollWidth - each.clientWidth)"
                )
                assert over == [0, 0], (media, width)
        page.close()


def test_a_patch_that_was_not_tested_is_not_marked_as_sound(
    browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page()
    for sample, states in (
        (samples.result(), ["good", "bad", "bad", "good", "unsure"]),
        (samples.untestable(), ["unsure"] * 5),
    ):
        opened(page, make(sample), tmp_path)
        dots = page.locator("nav .dot")
        assert [each.get_attribute("class") for each in dots.all()] == [
            f"dot {state}" for state in states
        ]
    page.close()


def test_a_warning_is_under_its_line_in_the_diff(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    opened(page, make(samples.result()), tmp_path)
    row = page.locator("tr.added", has=page.locator("td.n", has_text="6049"))
    assert row.locator("td.code").inner_text().strip() == "+\tstruct mount *base = NULL, *rootfs;"
    assert "unused variable 'err'" in row.locator("xpath=following-sibling::tr[1]").inner_text()
    page.close()


def test_the_page_is_used_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    opened(page, make(samples.result()), tmp_path)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    report = page.locator("details.report")
    report.locator("summary").focus()
    page.keyboard.press("Enter")
    assert report.locator("pre").is_visible()
    page.close()


def test_a_hostile_gate_runs_nothing_and_fetches_nothing(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": WIDTHS["phone"], "height": 900})
    said = opened(page, make(samples.hostile()), tmp_path)
    assert page.evaluate("document.scripts.length + document.images.length") == 0
    assert "<script>alert(1)</script>" in page.locator("h1").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTHS["phone"]
    # What would be run if something got through all the same.
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), "
                  "{textContent: 'window.wasRun = true'}))")  # fmt: skip
    assert page.evaluate("window.wasRun") is None
    assert len(said) == 1
    assert "Content Security Policy" in said[0]
    page.close()


def test_on_paper_the_diffs_are_open_and_the_navigation_is_gone(
    browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 700, "height": 900})
    opened(page, make(samples.result()), tmp_path)
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.get_by_text("+int __init init_pivot_root(").first.is_visible()
    keep(page, "check-paper", tmp_path)
    page.close()
