"""The reports of a gate: each says what the result says, and obeys nothing of what is in it."""

from pathlib import Path

import check_samples as samples
import msgspec
import pytest

from harness import check_logs, check_reports, check_text
from harness.check_logs import Logs
from harness.check_result import CheckResult, Word
from harness.errors import UsageError


def make(name: str, result: CheckResult) -> str:
    return check_reports.make(name, result, samples.logs(result)).decode()


def test_text_says_the_verdict_first_and_fits_a_screen() -> None:
    found = samples.result()
    lines = make("text", found).splitlines()
    assert lines[0] == f"finding: {found.verdict.reason}"
    assert len(lines) <= 50
    table = lines[6:12]
    assert max(map(len, table)) <= 100
    assert table[0].split() == [
        "patch", "apply", "config", "build", "boot", "effect", "new", "fixed", "behaviour"
    ]  # fmt: skip
    assert [row.split()[0] for row in table[1:]] == ["1", "2", "3", "4", "5"]
    assert table[2].split()[-8:] == ["ok", "ok", "failed", "skipped", "unknown", "-", "-", "-"]
    assert table[3].split()[-8:] == ["ok", "ok", "ok", "failed", "unknown", "4", "-", "3"]


def test_text_names_what_is_not_compiled_and_what_would() -> None:
    shown = make("text", samples.result())
    symbols = "CONFIG_USB_LED, CONFIG_USB, CONFIG_USB_SUPPORT"
    assert f"  patch 5  untested by this config: {samples.DRIVER} ({symbols})\n" in shown
    assert make("text", samples.good()).count("untested") == 0


def test_text_shows_warnings_with_their_line_and_behaviour_with_both_values() -> None:
    shown = make("text", samples.result())
    assert (
        "  patch 3  gcc: fs/namespace.c:6049: unused variable 'err' [-Wunused-variable]\n" in shown
    )
    assert "           struct mount *base = NULL, *rootfs;\n" in shown
    assert "  patch 3  checkpatch: the message: line length" in shown
    assert "  patch 3  pivot.pivot_root  EINVAL         → 0" in shown
    assert "  patch 3  root.parent_type  (not observed) → nullfs" in shown
    assert "boot time: 0.5229 (0.5198 to 0.5301) → 0.5512 (0.5477 to 0.5604) s\n" in shown
    assert "memory at the end" not in shown


def test_text_says_where_the_rest_is_and_what_did_not_run() -> None:
    found = samples.result()
    shown = make("text", found)
    assert "  ../../runs/2/build.log: patch 2 does not build\n" in shown
    assert "  ../../runs/3-option/console.log: patch 3 with nullfs_rootfs: panic\n" in shown
    assert "  not checked: sparse: sparse is not installed: apt-get install sparse\n" in shown
    assert shown.endswith(f"  gate       .\n  run again  {found.repro}\n")


def test_text_of_many_findings_stays_short() -> None:
    found = samples.result()
    patch = found.patches[2]
    many = msgspec.structs.replace(
        patch, warnings_new=patch.warnings_new * 50, behaviour=patch.behaviour * 50
    )
    shown = make("text", msgspec.structs.replace(found, patches=[many]))
    assert len(shown.splitlines()) < 50
    assert "  and 194 more, in the report\n" in shown
    assert "  and 144 more, in the report\n" in shown


@pytest.mark.parametrize("name", [name for name in check_reports.REPORTS if name != "json"])
@pytest.mark.parametrize("sample", ["result", "good", "untestable", "hostile"])
def test_every_report_can_be_made_and_shown(name: str, sample: str) -> None:
    shown = make(name, getattr(samples, sample)())
    assert shown
    assert samples.is_harmless(shown)


def test_a_styled_report_says_the_same() -> None:
    found = samples.result()
    shown = check_text.text(found, ".", style=lambda text, _: f"\x1b[1m{text}\x1b[0m")
    assert shown.replace("\x1b[1m", "").replace("\x1b[0m", "") == make("text", found)


def test_an_unknown_report_is_told_which_there_are() -> None:
    with pytest.raises(UsageError, match="no report 'pdf'") as caught:
        check_reports.report_of("pdf")
    assert "text" in (caught.value.hint or "")


def test_reports_read_the_end_of_a_long_log_and_say_so(tmp_path: Path) -> None:
    found = samples.good()
    boot = found.patches[0].boots[0]
    folder = tmp_path / "gates" / found.id
    log = folder / str(boot.run) / check_logs.CONSOLE
    folder.mkdir(parents=True)
    log.parent.resolve().mkdir(parents=True)
    log.write_bytes(b"first\n" + b"x" * check_logs.READ_MAX)
    logs = check_reports.read(found, folder)
    assert set(logs.files) == logs.cut == {f"{boot.run}/{check_logs.CONSOLE}"}
    assert logs.console(boot) == b"x" * check_logs.READ_MAX


def test_a_boot_that_was_none_has_no_console() -> None:
    skipped = samples.result().patches[0].boots[1]
    assert skipped.word is Word.SKIPPED
    assert Logs(files={"": b"x", "None/console.log": b"x"}).console(skipped) is None
