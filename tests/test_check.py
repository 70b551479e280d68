"""`harness check` on the stand-in kernel: sound series, and spoilt ones with one sentence."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, Harness, commit, git
from test_pipeline import NAMESPACE

from harness import check_reports

Topic = Callable[..., None]
Check = Callable[..., subprocess.CompletedProcess[str]]

OLD, NEW = NAMESPACE % "old", NAMESPACE % "new"
UNUSED = "\nstatic void {}(void)\n{{\n}}\n"
SIGNED = """
int compare_{0}(int a, unsigned b);
int compare_{0}(int a, unsigned b)
{{
	return a < b;
}}
"""
BROKEN = OLD.replace("return", "return undeclared,")


@pytest.fixture
def topic(clone: Path) -> Topic:
    """Make the branch `topic` of commits: (subject, files by name), the first on main."""

    def make(*patches: tuple[str, Mapping[str, str]]) -> None:
        git(clone, "checkout", "-q", "-B", "topic", "main")
        for subject, files in patches:
            for name, text in files.items():
                (clone / name).parent.mkdir(parents=True, exist_ok=True)
                (clone / name).write_text(text)
            commit(clone, subject)
        git(clone, "checkout", "-q", "main")

    return make


@pytest.fixture
def check(harness: Harness, project: Path) -> Check:
    """Check the branch `topic`, or what is said."""

    def run(*arguments: str | Path, series: str = "topic") -> subprocess.CompletedProcess[str]:
        quickly = () if "--measure" in arguments else ("--measure", "0")
        return harness("check", series, "--tree", "linux", *quickly, *arguments, cwd=project)

    return run


def read(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the document that a check has printed."""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def column(found: dict[str, Any], name: str) -> list[str]:
    """Return what the patches have under a name."""
    return [patch[name] for patch in found["patches"]]


def said_by(check: str, patch: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is new of a patch by one check."""
    return [each for each in patch["warnings_new"] if each["check"] == check]


def test_a_sound_series_is_mergeable_and_a_second_check_boots_nothing(
    topic: Topic, check: Check
) -> None:
    topic(("fs: answer otherwise", {"fs/namespace.c": NEW}), ("docs: say so", {"README": "x\n"}))
    first = check("--json")
    assert first.returncode == 0, first.stderr
    found = read(first)
    jsonschema.validate(found, json.loads((ROOT / "docs/check.schema.json").read_text()))
    assert found["verdict"] == {
        "outcome": "mergeable",
        "reason": f"all 2 patches apply, build and boot on {found['base']['name']}, "
        "no new warning that counts (2 shown)",
        "look_at": ["patch 1: boot.mount was old, is new"],
        "hint": None,
    }
    assert found["base"]["how"] == "where the range begins"
    assert column(found, "effect") == ["changes-kernel", "no-effect"]
    assert column(found, "boot") == ["ok", "reused"]
    assert [len(rows) for rows in column(found, "behaviour")] == [1, 0]

    second = check("--json")
    assert second.returncode == 0, second.stderr
    again = read(second)
    assert column(again, "boot") == column(again, "build") == ["reused", "reused"]
    assert [b["run"] for p in again["patches"] for b in p["boots"]]
    assert second.stderr.count("boot          0.00 s  cached; pass") == 3

    fresh = read(check("--json", "--fresh"))
    assert column(fresh, "boot") == ["ok", "reused"]


def test_the_patch_that_breaks_the_build_and_the_one_that_repairs_it_are_named(
    topic: Topic, check: Check
) -> None:
    topic(
        ("fs: first", {"fs/namespace.c": NEW}),
        ("fs: second", {"fs/namespace.c": BROKEN}),
        ("fs: third", {"fs/namespace.c": OLD}),
    )
    done = check("--json")
    assert done.returncode == 1, done.stderr
    found = read(done)
    reason = found["verdict"]["reason"]
    assert reason.startswith("patch 2 (fs: second) does not build: fs/namespace.c:8:")
    assert reason.endswith("; patch 3 repairs it")
    assert "undeclared" in reason
    assert column(found, "build") == ["ok", "failed", "ok"]
    assert column(found, "boot") == ["ok", "skipped", "ok"]
    assert column(found, "effect") == ["changes-kernel", "unknown", "unknown"]
    assert found["breaks"] == [
        {"patch": 2, "stage": "build", "reason": found["patches"][1]["reason"], "repaired_by": 3}
    ]


def test_a_tip_that_does_not_build_is_a_finding_of_the_patch_that_broke_it(
    topic: Topic, check: Check
) -> None:
    topic(
        ("fs: first", {"fs/namespace.c": BROKEN}),
        ("fs: second", {"README": "x\n"}),
    )
    done = check("--json")
    assert done.returncode == 1, done.stderr
    found = read(done)
    assert found["verdict"]["reason"].startswith("patch 1 (fs: first) does not build: fs/namespace")
    assert [each["patch"] for each in found["breaks"]] == [1]
    assert found["patches"][1]["reason"] == ""


def test_documentation_that_changes_what_the_kernel_does_is_a_finding(
    topic: Topic, check: Check
) -> None:
    topic(("docs: explain the answer", {"fs/namespace.c": NEW}))
    done = check("--json")
    assert done.returncode == 1, done.stderr
    assert read(done)["verdict"]["reason"] == (
        "patch 1 (docs: explain the answer): it says that it is documentation "
        "(docs: explain the answer), and changes what the kernel does: boot.mount was old, is new"
    )


def test_a_symbol_lost_by_a_change_of_kconfig_is_named(
    topic: Topic, check: Check, clone: Path
) -> None:
    without = (clone / "Kconfig").read_text().replace("config NET\n", "config NETS\n")
    topic(("kconfig: tidy up", {"Kconfig": without}))
    done = check("--json")
    assert done.returncode == 1, done.stderr
    reason = read(done)["verdict"]["reason"]
    assert reason.startswith(
        "patch 1 (kconfig: tidy up) loses what the config asks for: CONFIG_NET did not survive"
    )
    assert "no such symbol" in reason


def test_a_series_that_does_not_apply_cannot_be_tested(
    topic: Topic, check: Check, clone: Path
) -> None:
    topic(("fs: first", {"README": "x\n"}), ("fs: second", {"fs/namespace.c": NEW}))
    git(clone, "checkout", "-q", "-B", "other", "main")
    (clone / "fs/namespace.c").write_text("int something_else;\n")
    commit(clone, "fs: all new")
    git(clone, "checkout", "-q", "main")
    done = check("--json", "--base", "other", series="main..topic")
    assert done.returncode == 125, done.stderr
    found = read(done)
    assert found["verdict"]["outcome"] == "untestable"
    assert found["verdict"]["reason"].startswith("patch 2 (fs: second) does not apply at fs/names")
    assert column(found, "apply")[1] == "failed"


def test_a_base_that_fails_alike_says_nothing_of_the_series(
    topic: Topic, check: Check, clone: Path
) -> None:
    (clone / "fs/namespace.c").write_text(BROKEN)
    commit(clone, "fs: break it")
    topic(("docs: first", {"README": "x\n"}))
    done = check("--json")
    assert done.returncode == 125, done.stderr
    assert read(done)["verdict"]["reason"].startswith("the base itself cannot be tested: fs/namesp")


def test_a_patch_that_breaks_the_boot_is_blamed_with_the_kernels_words(
    topic: Topic, check: Check
) -> None:
    panics = OLD.replace("=old", r"=old\n[    0.200000] Kernel panic - not syncing: no answer")
    topic(
        ("fs: first", {"README": "x\n"}),
        ("fs: second", {"fs/namespace.c": panics}),
        ("fs: third", {"fs/namespace.c": OLD}),
    )
    done = check("--json")
    assert done.returncode == 1, done.stderr
    found = read(done)
    assert found["verdict"]["reason"] == (
        "patch 2 (fs: second) does not pass: panic: no answer; patch 3 repairs it"
    )
    assert column(found, "boot") == ["reused", "failed", "ok"]
    assert "Kernel panic" in found["patches"][1]["boots"][0]["evidence"][0]


def test_a_patch_to_a_driver_that_is_not_compiled_is_untested(topic: Topic, check: Check) -> None:
    topic(
        ("fs: answer otherwise", {"fs/namespace.c": NEW}),
        ("net: make the ring longer", {"drivers/net/ring.c": "int ring = 2;\n"}),
    )
    done = check("--json")
    assert done.returncode == 125, done.stderr
    found = read(done)
    assert found["verdict"] == {
        "outcome": "untestable",
        "reason": "patch 2 (net: make the ring longer) is untested by this config: "
        "drivers/net/ring.c is not compiled (CONFIG_STANDIN_NIC would)",
        "look_at": [found["verdict"]["reason"]],
        "hint": "add --kconfig CONFIG_STANDIN_NIC=y",
    }
    assert column(found, "effect") == ["changes-kernel", "not-compiled"]
    assert column(found, "build") == ["ok", "untested"]
    assert column(found, "boot") == ["ok", "untested"]


def test_a_new_warning_is_shown_with_its_patch_its_line_and_the_compilers_words(
    topic: Topic, check: Check, clone: Path
) -> None:
    (clone / "fs/namespace.c").write_text(OLD + UNUSED.format("known"))
    commit(clone, "fs: one warning from before")
    topic(
        ("fs: move it", {"fs/namespace.c": "\n\n" + OLD + UNUSED.format("known")}),
        ("fs: swap it", {"fs/namespace.c": OLD + UNUSED.format("another")}),
    )
    done = check("--json")
    assert done.returncode == 1, done.stderr
    found = read(done)
    first, second = found["patches"]
    assert (said_by("compiler", first), first["warnings_fixed"]) == ([], [])
    [new] = said_by("compiler", second)
    [fixed] = second["warnings_fixed"]
    assert new["message"] == "'another' defined but not used"
    assert (new["file"], new["flag"]) == ("fs/namespace.c", "-Wunused-function")
    assert new["source"] == "static void another(void)"
    assert any("warning: 'another' defined" in line for line in new["text"])
    assert fixed["message"] == "'known' defined but not used"
    assert found["base"]["warnings"] >= 1
    assert found["verdict"]["reason"] == (
        f"patch 2 (fs: swap it): a new warning (compiler): fs/namespace.c:{new['line']}: "
        "'another' defined but not used"
    )


def test_a_warning_of_the_same_words_once_more_is_new(topic: Topic, check: Check) -> None:
    once = OLD + SIGNED.format(1)
    topic(
        ("fs: once", {"fs/namespace.c": once}),
        ("fs: twice", {"fs/namespace.c": once + SIGNED.format(2)}),
    )
    found = read(check("--json"))
    assert [len(said_by("W=1", patch)) for patch in found["patches"]] == [1, 1]


@pytest.mark.skipif(not shutil.which("sparse"), reason="sparse is not installed")
def test_a_new_warning_of_sparse_is_a_finding(topic: Topic, check: Check) -> None:
    topic(("fs: count", {"fs/namespace.c": OLD + "int mount_count;\n"}))
    done = check("--json")
    assert done.returncode == 1, done.stderr
    assert (
        "a new warning (sparse): fs/namespace.c:10: symbol 'mount_count' was not declared"
        in (read(done)["verdict"]["reason"])
    )


def test_a_check_that_is_switched_off_says_nothing(
    topic: Topic, check: Check, project: Path
) -> None:
    with (project / "harness.toml").open("a") as file:
        file.write('[checks]\ncompiler = "warning"\n"W=1" = "off"\nsparse = "off"\n')
    topic(("fs: leave it", {"fs/namespace.c": OLD + UNUSED.format("left")}))
    done = check("--json")
    assert done.returncode == 0, done.stderr
    found = read(done)
    [new] = said_by("compiler", found["patches"][0])
    assert new["severity"] == "warning"
    assert "sparse" not in [each["name"] for each in found["checks"]]


def test_a_check_that_nobody_knows_is_told_with_the_nearest(check: Check, project: Path) -> None:
    with (project / "harness.toml").open("a") as file:
        file.write('[checks]\nsparce = "off"\n')
    done = check()
    assert done.returncode == 2
    assert "unknown key 'sparce' in `$.checks`; did you mean 'sparse'?" in done.stderr


def test_a_missing_base_commit_is_told_and_the_nearest_base_is_taken(
    topic: Topic, harness: Harness, project: Path, clone: Path, tmp_path: Path
) -> None:
    topic(("fs: answer otherwise", {"fs/namespace.c": NEW}))
    mbox = tmp_path / "topic.mbox"
    text = git(clone, "format-patch", "--stdout", "--full-index", "main..topic")
    wanted = "1234567890" * 4
    mbox.write_text(f"{text}\nbase-commit: {wanted}\n")
    # What is newest does not have the files that the patch was made from.
    (clone / "fs/namespace.c").write_text(OLD + "\n/* moved on */\n")
    commit(clone, "fs: move on")
    done = harness("check", mbox, "--tree", "linux", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert found["base"]["how"] == (
        f"base-commit {wanted} is not here; nearest by the blobs of the patches: "
        "1 of 1 files are the same"
    )
    assert found["base"]["commit"] == git(clone, "rev-parse", "main~1")

    (clone / "fs/namespace.c").write_text("int nothing_of_it;\n")
    git(clone, "commit", "-q", "-a", "--amend", "-m", "another root")
    git(clone, "branch", "-q", "-D", "topic")
    git(clone, "checkout", "-q", "--orphan", "lonely")
    commit(clone, "no history")
    git(clone, "branch", "-q", "-D", "main")
    done = harness("check", mbox, "--tree", "linux", cwd=project)
    assert done.returncode == 2
    assert f"its base-commit {wanted} is not here, and no revision of" in done.stderr
    assert "--base" in done.stderr


def test_the_base_commit_of_the_mail_is_taken_where_it_is_here(
    topic: Topic, harness: Harness, project: Path, clone: Path
) -> None:
    topic(("fs: answer otherwise", {"fs/namespace.c": NEW}))
    text = git(clone, "format-patch", "--stdout", "--base=main", "main..topic")
    base = git(clone, "rev-parse", "main")
    (clone / "README").write_text("moved on\n")
    commit(clone, "readme: move on")
    done = harness(
        "check", "-", "--tree", "linux", "--json", cwd=project, stdin=f"{text}\n".encode()
    )
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert (found["base"]["how"], found["base"]["commit"]) == ("base-commit", base)
    # What came by the pipe can be read again.
    assert Path(found["series"]).read_text().startswith("From ")
    again = harness(*found["repro"].split()[1:], "--json", cwd=project)
    assert column(read(again), "boot") == ["reused"]


def test_another_base_or_a_run_can_be_what_it_is_held_against(
    topic: Topic, check: Check, clone: Path, harness: Harness, project: Path
) -> None:
    topic(("docs: first", {"README": "x\n"}))
    git(clone, "checkout", "-q", "-B", "other", "main")
    (clone / "fs/namespace.c").write_text(NEW)
    commit(clone, "fs: answer otherwise")
    git(clone, "checkout", "-q", "main")
    done = harness("boot", "--tree", "linux", "--base", "other", "--json", cwd=project)
    run = json.loads(done.stdout)["id"]
    for against, name in (("other", "other"), (run, f"run {run}")):
        found = read(check("--json", "--against", against))
        assert (found["base"]["name"], found["base"]["how"]) == (name, "--against")
        [row] = found["patches"][0]["behaviour"]
        assert (row["name"], row["before"], row["after"]) == ("boot.mount", "new", "old")
    assert read(check("--json"))["patches"][0]["behaviour"] == []


def test_base_and_tip_are_measured_by_turns(topic: Topic, check: Check) -> None:
    topic(("fs: answer otherwise", {"fs/namespace.c": NEW}))
    done = check("--json", "--measure", "6")
    measures = read(done)["measures"]
    assert [each["name"] for each in measures] == [
        "time until init, by the guest's clock",
        "time of the whole boot",
    ]
    for each in measures:
        assert each["before"]["samples"] == each["after"]["samples"] == 6
        assert each["before"]["low"] <= each["before"]["median"] <= each["before"]["high"]
    assert not measures[0]["is_significant"]


def test_what_cannot_be_asked_is_said_in_a_line(check: Check, topic: Topic) -> None:
    topic(("fs: first", {"README": "x\n"}))
    for series, words in {
        "none": "error: --series none: no patches in it",
        "main": "error: --series main: this branch of",
        "nonesuch": "error: --series nonesuch: no such series, folder, file or git range",
    }.items():
        done = check(series=series)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_every_report_is_in_the_folder_and_where_it_is_asked_for(
    topic: Topic, check: Check, tmp_path: Path
) -> None:
    topic(("fs: answer otherwise", {"fs/namespace.c": NEW}))
    page = tmp_path / "page.html"
    done = check(
        "--out", tmp_path / "out", "--measure", "0",
        "--report", f"html={page}", "--report", "annotations=-",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("::notice title=harness check%3A mergeable::")
    folder = (tmp_path / "out/gates/latest").resolve()
    assert {file.name for file in folder.iterdir()} == {
        each.file for each in check_reports.REPORTS.values()
    }
    # Its links work from where it is, and its consoles are those of the boots.
    for file in (page, folder / "check.html"):
        text = file.read_text()
        assert "Run /init as init process" in text or "harness: " in text
        links = set(re.findall(r'href="([^"#][^"]*)"', text))
        assert links
        assert all((file.parent / link).resolve().is_file() for link in links)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("pdf=x", "no report 'pdf'"),
        ("html", "'html' names no file: html=FILE"),
        ("html=gone/x", "no such folder: "),
    ],
)
def test_a_report_that_cannot_be_is_told_at_once(
    topic: Topic, check: Check, report: str, said: str
) -> None:
    topic(("fs: answer otherwise", {"fs/namespace.c": NEW}))
    done = check("--report", report)
    assert done.returncode == 2
    assert said in done.stderr
    assert "base" not in done.stderr


def test_help_names_every_report(harness: Harness) -> None:
    shown = harness("check", "--help").stdout
    assert [name for name in check_reports.REPORTS if name not in shown] == []
