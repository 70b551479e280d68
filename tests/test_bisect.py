"""`harness bisect` on histories of the stand-in kernel: real git, make, gcc and QEMU."""

import email
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from email.policy import default
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from conftest import ROOT, Harness, commit, git
from test_pipeline import NAMESPACE

from harness import bisect_report
from harness.bisect_result import BisectResult

Bisect = Callable[..., subprocess.CompletedProcess[str]]

OLD, NEW = NAMESPACE % "old", NAMESPACE % "new"
REPORT = r"=old\n[    0.200000] Kernel panic - not syncing: {}"


def panics(why: str) -> str:
    return OLD.replace("=old", REPORT.format(why))


BUG, ANOTHER = panics("no answer"), panics("something else")


@pytest.fixture
def bisect(harness: Harness, project: Path) -> Bisect:
    """Bisect the clone of the project, from its first commit to `main`."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        goes_on = {"--continue", "--replay"} & {*arguments}
        ends = () if "--good" in arguments or goes_on else ("--good", "start", "--bad", "main")
        tree = () if goes_on else ("--tree", "linux")
        return harness("bisect", *tree, *ends, "--json", *arguments, cwd=project)

    return run


def grow(clone: Path, *texts: str | None) -> list[str]:
    """Add commits to main: a text for fs/namespace.c, or None for one that is documentation."""
    git(clone, "tag", "-f", "start")
    made = []
    for number, text in enumerate(texts):
        # A comment makes another object file of nothing, and another commit of the same text.
        if text is None:
            (clone / "README").write_text(f"number {number}\n")
        else:
            (clone / "fs/namespace.c").write_text(
                f'{text}const char count_{number}[] = "{number}";\n'
            )
        made.append(commit(clone, f"commit {number}"))
    return made


def read(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def span(clone: Path, said: dict[str, Any]) -> set[str]:
    """Return the commits of a range as git lists them."""
    return set(git(clone, "log", "--format=%H", f"{said['after']}..{said['until']}").split())


def text(found: dict[str, Any]) -> str:
    """Return the report of a bisect."""
    result = msgspec.convert(found, type=BisectResult)
    return bisect_report.text(result, "folder")


def test_the_commit_that_brings_a_panic_is_found_and_what_cannot_matter_is_not_tried(
    bisect: Bisect, clone: Path, project: Path, harness: Harness
) -> None:
    made = grow(clone, *[None] * 5, OLD, None, BUG, None, None, BUG, None, None, None)
    before = git(clone, "status", "--porcelain"), git(clone, "rev-parse", "HEAD")
    done = bisect()
    assert done.returncode == 0, done.stderr
    found = read(done)
    jsonschema.validate(found, json.loads((ROOT / "docs/bisect.schema.json").read_text()))
    assert found["first_bad"]["commit"] == made[7]
    assert found["first_bad"]["subject"] == "commit 7"
    assert "fs/namespace.c" in found["first_bad"]["stat"]
    assert found["signature"] == "panic: no answer"
    assert found["confidence"] == 1.0
    assert (found["relevant"], found["total"]) == (3, 14)
    assert len(found["tries"]) == 4
    # The commit before it is documentation, and so builds the kernel of the one before that.
    assert found["first_bad"]["parent"] == made[6]
    assert found["first_bad"]["parent_said"].endswith(f", tried as {made[5][:12]}, the same kernel")
    assert found["first_bad"]["parent_evidence"][0].startswith("line ")
    assert "3 of 14 commits can matter" in done.stderr
    assert "3 can be it; some 2 tries, 0." in done.stderr
    assert (git(clone, "status", "--porcelain"), git(clone, "rev-parse", "HEAD")) == before

    folder = Path(os.environ["XDG_STATE_HOME"]) / "harness/bisects" / found["id"]
    mail = (folder / "reply.txt").read_text()
    assert f"#regzbot introduced: {made[7]}" in mail
    assert "Kernel panic - not syncing: no answer" in mail
    page = (folder / "bisect.html").read_text()
    assert "panic: no answer" in page
    # Asked again, nothing is built or booted.
    again = read(bisect())
    assert {each["class"] for each in again["tries"]} == {"reused"}
    for key in ("commit", "evidence", "parent_said"):
        assert again["first_bad"][key] == found["first_bad"][key]
    status = harness("bisect", "--status", cwd=project)
    assert status.stdout.startswith(f"found: {made[7][:12]} (commit 7) brings it")


def test_another_crash_half_way_is_not_taken_for_the_bug(bisect: Bisect, clone: Path) -> None:
    made = grow(clone, OLD, ANOTHER, ANOTHER, ANOTHER, OLD, OLD, BUG, BUG)
    done = bisect()
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert found["first_bad"]["commit"] == made[6]
    others = [each for each in found["tries"] if each["class"] == "other"]
    assert {each["reason"] for each in others} <= {"panic: something else"}
    assert 1 <= len(others) <= 2
    # It is there from commit 1 on, and gone with commit 4.
    (skipped,) = found["skipped"]
    assert (skipped["class"], skipped["title"]) == ("other", "panic: something else")
    assert skipped["commits"] == sorted((e["commit"] for e in others), key=made.index)
    began, ended = skipped["began"], skipped["ended"]
    assert began["until"] == skipped["commits"][0]
    assert ended["after"] == skipped["commits"][-1]
    lacking = [each["commit"] for each in found["tries"] if each["told"] == "good"]
    assert {began["after"], ended["until"]} <= {*lacking}
    assert span(clone, began) >= {made[1]}
    assert span(clone, ended) >= {made[4]}
    assert [len(span(clone, each)) for each in (began, ended)] == [
        began["commits"], ended["commits"]
    ]  # fmt: skip
    assert "\n  panic: something else\n" in text(found)
    assert f"{began['after'][:12]}..{began['until'][:12]} (" in text(found)


def test_what_cannot_be_built_is_skipped_and_a_range_is_all_there_is_to_say(
    bisect: Bisect, clone: Path
) -> None:
    broken = OLD.replace("return", "return undeclared,")
    made = grow(clone, OLD, broken, broken, BUG, BUG)
    done = bisect()
    assert done.returncode == 125, done.stderr
    found = read(done)
    assert (found["ended"], found["first_bad"]) == ("range", None)
    assert {each["commit"] for each in found["suspects"]} == set(made[1:4])
    (skipped,) = found["skipped"]
    assert (skipped["class"], skipped["outcome"]) == ("untestable", "build-failed")
    # Each was tried, and their neighbours on both sides: the ranges are exact.
    assert skipped["commits"] == made[1:3]
    assert span(clone, skipped["began"]) == {made[1]}
    assert span(clone, skipped["ended"]) == {made[3]}


def test_a_build_that_breaks_is_bisected_by_its_error(bisect: Bisect, clone: Path) -> None:
    broken = OLD.replace("return", "return undeclared,")
    other = OLD.replace("return", "return unknown,")
    made = grow(clone, OLD, other, OLD, OLD, broken, broken)
    done = bisect()
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert found["first_bad"]["commit"] == made[4]
    assert "'undeclared' undeclared" in found["signature"]
    # What a boot comes to is not asked, but of the good end.
    goods = [each for each in found["tries"] if each["told"] == "good"]
    assert {each["reason"] for each in goods[1:]} == {"it builds, and was not booted"}


def test_the_commit_that_repairs_is_found(bisect: Bisect, clone: Path) -> None:
    (clone / "fs/namespace.c").write_text(BUG)
    commit(clone, "a bug from of old")
    made = grow(clone, BUG, BUG, OLD, OLD, OLD)
    done = bisect("--good", "main", "--bad", "start", "--find", "fixed")
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert (found["looked_for"], found["first_bad"]["commit"]) == ("fixed", made[2])


def test_a_merge_is_followed_into_the_branch_that_brings_it(bisect: Bisect, clone: Path) -> None:
    grow(clone, OLD, OLD)
    git(clone, "checkout", "-q", "-b", "side", "start")
    (clone / "init/extra.h").write_text("/* on the side */\n")
    (clone / "fs/namespace.c").write_text(BUG)
    culprit = commit(clone, "side: the bug")
    (clone / "README").write_text("side\n")
    commit(clone, "side: words")
    git(clone, "checkout", "-q", "main")
    git(clone, "merge", "-q", "-s", "ours", "--no-commit", "side")
    git(clone, "checkout", "side", "--", "fs/namespace.c")
    commit(clone, "merge the side")
    grow(clone, BUG)
    git(clone, "tag", "-f", "start", "side~2")
    done = bisect()
    assert done.returncode == 0, done.stderr
    assert read(done)["first_bad"]["commit"] == culprit


def test_an_observation_beyond_a_threshold_is_a_question_too(bisect: Bisect, clone: Path) -> None:
    def counts(number: int) -> str:
        return OLD.replace("boot.mount=old", f"boot.mount={number}")

    made = grow(clone, *map(counts, (10, 12, 11, 90, 95, 91)))
    # The first commit has no number there, so it is no good end.
    done = bisect("--measure", "boot.mount", "--above", "50", "--good", "start", "--bad", "main")
    assert done.returncode == 1, done.stderr
    done = bisect("--measure", "boot.mount", "--above", "50", "--good", made[0], "--bad", "main")
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert found["first_bad"]["commit"] == made[3]
    assert found["signature"] == "boot.mount above 50"


def test_ends_that_do_not_differ_are_both_shown(bisect: Bisect, clone: Path) -> None:
    grow(clone, OLD, OLD)
    done = bisect()
    assert done.returncode == 1, done.stderr
    found = read(done)
    assert found["ended"] == "alike"
    assert found["seconds"] > 0
    assert found["ends"]["good"].startswith("pass: ")
    assert found["ends"]["bad"].startswith("pass: ")


def test_a_bisect_that_is_killed_ten_times_goes_on_and_ends_alike(
    bisect: Bisect, clone: Path, project: Path
) -> None:
    draw = random.Random(7)  # noqa: S311 - no secret
    made = grow(clone, *[OLD] * 9, *[BUG] * 7)
    argv = [sys.executable, "-m", "harness", "bisect"]
    words = ["--tree", "linux", "--good", "start", "--bad", "main"]
    said = project / "said"
    killed = 0
    for number in range(10):
        with said.open("a") as stream:
            child = subprocess.Popen(
                [*argv, *(words if not number else ["--continue"])],
                cwd=project, stdout=subprocess.DEVNULL, stderr=stream,
            )  # fmt: skip
        state = Path(os.environ["XDG_STATE_HOME"]) / "harness/bisects"
        while not list(state.glob("*/state.json")) and child.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.2, 1.2))
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
    done = bisect("--continue")
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert found["first_bad"]["commit"] == made[9]
    # It may be over before the last of them.
    assert killed >= 3
    commits = [each["commit"] for each in found["tries"]]
    assert len(commits) == len(set(commits))
    # A build that came to its end is never made again: a kill costs at most the one it cuts off.
    stages = (said.read_text() + done.stderr).splitlines()
    builds = [line for line in stages if re.match(r"build +\d", line) and "cached" not in line]
    assert 0 < len(builds) <= len(commits)


def test_git_bisect_run_takes_a_step_of_ours(clone: Path, project: Path, harness: Harness) -> None:
    broken = OLD.replace("return", "return undeclared,")
    made = grow(clone, OLD, broken, ANOTHER, OLD, BUG, BUG)
    done = harness("boot", "--tree", "linux", "--base", "main", "--json", cwd=project)
    run = json.loads(done.stdout)["id"]
    (clone / "harness.toml").write_text((project / "harness.toml").read_text())
    (clone / "kconfigs").symlink_to(project / "kconfigs")
    git(clone, "bisect", "start", "main", "start")
    words = [sys.executable, "-m", "harness", "bisect-step", "--series", "none"]
    said = subprocess.run(
        ["git", "bisect", "run", *words, "--like", run],
        cwd=clone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"{made[4]} is the first bad commit" in said.stdout, said.stdout + said.stderr
    git(clone, "bisect", "reset")
    step = [*words[3:], "--tree", "linux"]
    assert harness(*step, cwd=project).returncode == 1
    assert harness(*step, "--like", "nonesuch", cwd=project).returncode == 128
    assert harness(*step, "--flow", "nonesuch", cwd=project).returncode == 128
    git(clone, "checkout", "-q", made[1])
    assert harness(*step, cwd=project).returncode == 125
    git(clone, "checkout", "-q", made[2])
    assert harness(*step, "--like", run, cwd=project).returncode == 125


def test_a_good_that_was_none_is_unmasked_and_the_odds_are_weighed(
    bisect: Bisect, clone: Path, project: Path, harness: Harness
) -> None:
    made = grow(clone, *[OLD] * 3, *[BUG] * 6)
    first = read(bisect())
    assert (first["first_bad"]["commit"], first["proofs"]) == (made[3], 2)
    state = json.loads(harness("bisect", "--log", cwd=project).stdout)
    # As if the bug had not shown in the one boot of a commit that has it.
    good = next(each for each in state["tries"] if each["told"] == "good")
    ends = [each for each in state["tries"] if each["commit"] in (made[8], state["between"]["old"])]
    state.update(tries=[*ends, {**good, "commit": made[5], "class": "good"}], proofs=0)
    file = project / "state.json"
    file.write_text(json.dumps(state))
    done = bisect("--replay", file)
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert "the tries contradict each other" in done.stderr
    assert found["first_bad"]["commit"] == made[3]
    assert 0.99 <= found["confidence"] < 1
    assert f"{made[3][:12]} with " in done.stderr


def test_a_symbol_that_kconfig_drops_is_bisected(bisect: Bisect, clone: Path) -> None:
    grow(clone, OLD, OLD)
    kconfig = clone / "Kconfig"
    symbol = 'config NET_9P\n\tbool "Plan 9"\n\tdepends on NET\n\n'
    assert symbol in kconfig.read_text()
    kconfig.write_text(kconfig.read_text().replace(symbol, ""))
    culprit = commit(clone, "9p: gone")
    git(clone, "tag", "before", "start")
    grow(clone, OLD, None)
    done = bisect("--good", "before", "--bad", "main", "--kconfig", "CONFIG_NET_9P=y")
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert found["signature"] == "config-lost: CONFIG_NET_9P"
    assert found["first_bad"]["commit"] == culprit


def test_a_series_is_laid_on_top_of_each_commit(bisect: Bisect, clone: Path) -> None:
    # It repairs what it can be applied to.
    git(clone, "tag", "before")
    (clone / "init/main.c").write_text(f"{(clone / 'init/main.c').read_text()}/* one */\n")
    series = clone.parent / "series"
    commit(clone, "init: a remark")
    git(clone, "format-patch", "-q", "-o", str(series), "before")
    git(clone, "reset", "-q", "--hard", "before")
    made = grow(clone, OLD, OLD, BUG, BUG, BUG)
    text = (clone / "init/main.c").read_text()
    (clone / "init/main.c").write_text(f"{text}/* another */\n")
    commit(clone, "in the way of the series")
    (clone / "init/main.c").write_text(text)
    commit(clone, "out of its way")
    done = bisect("--series", series)
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert found["first_bad"]["commit"] == made[2]
    assert f"--series {series}" in found["repro"]
    for each in found["tries"]:
        run = json.loads((Path(each["run"]) / "result.json").read_text())
        assert [patch["subject"] for patch in run["job"]["patches"]] == ["init: a remark"]


def test_a_fault_of_this_machine_is_no_answer_and_the_bisect_goes_on_after_it(
    bisect: Bisect, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = grow(clone, OLD, OLD, BUG, BUG)
    fake = tmp_path / "bin/qemu-system-x86_64"
    fake.parent.mkdir()
    real = shutil.which(fake.name)
    # The third boot is one too many for it.
    fake.write_text(
        f"""#!/bin/sh
        case "$*" in *-append*)
            echo >> {tmp_path}/boots
            [ $(wc -l < {tmp_path}/boots) -ge 3 ] && {{ echo out of memory >&2; exit 1; }} ;;
        esac
        exec {real} "$@"
        """
    )
    fake.chmod(0o755)
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{fake.parent}:{path}")
    done = bisect()
    assert done.returncode == 128, done.stderr
    assert "out of memory" in done.stderr
    monkeypatch.setenv("PATH", path)
    done = bisect("--continue")
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert found["first_bad"]["commit"] == made[2]
    assert {each["outcome"] for each in found["tries"]} == {"pass", "panic"}


def test_the_report_is_for_those_who_made_the_commit(bisect: Bisect, clone: Path) -> None:
    grow(clone, OLD.replace("=old", "=10"), OLD.replace("=old", "=90"), None)
    git(clone, "tag", "-f", "start", "main~2")
    git(clone, "reset", "-q", "--hard", "main~2")
    (clone / "fs/namespace.c").write_text(OLD.replace("=old", "=90"))
    trailers = (
        "Signed-off-by: A. Author <author@harness.invalid>\n"
        "Reviewed-by: R. Reviewer <r@harness.invalid>\n"
        "Tested-by: T. Tester <t@harness.invalid> # on one machine\n"
        "Acked-by: nobody who can be written to\n"
        "Signed-off-by: tester <Tester@harness.invalid>\n"
        "Link: https://lore.kernel.org/all/a-report@harness.invalid/\n"
        "Link: https://lore.kernel.org/r/20260112-answer-v2-1@harness.invalid\n"
    )
    commit(clone, f"fs: answer more\n\n{trailers}")
    done = bisect("--measure", "boot.mount", "--above", "50")
    assert done.returncode == 0, done.stderr
    found = read(done)
    (folder,) = (Path(os.environ["XDG_STATE_HOME"]) / "harness/bisects").iterdir()
    mail = email.message_from_bytes((folder / "reply.txt").read_bytes(), policy=default)
    assert mail["To"] == "tester <tester@harness.invalid>"
    assert [each.addr_spec for each in mail["Cc"].addresses] == [
        "author@harness.invalid", "r@harness.invalid", "t@harness.invalid",
        "regressions@lists.linux.dev",
    ]  # fmt: skip
    assert mail["In-Reply-To"] == "<20260112-answer-v2-1@harness.invalid>"
    assert mail["Subject"] == "[REGRESSION] fs: answer more"
    body = mail.get_content()
    # The line of evidence from it and from its parent, and no line that a mail would break.
    for value, key in ((90, "evidence"), (10, "parent_evidence")):
        (line,) = found["first_bad"][key]
        assert re.fullmatch(rf"line \d+: .* observe boot.mount={value}", line)
        assert f"    {line}\n" in body
        assert line in text(found)
    assert f"#regzbot introduced: {found['first_bad']['commit']}\n" in body


def test_what_cannot_be_asked_is_said_in_a_line(
    harness: Harness, clone: Path, project: Path
) -> None:
    grow(clone, OLD)
    for arguments, words in {
        ("--tree", "linux", "--good", "start"): "a bisect needs both ends",
        ("--good", "start", "--bad", "main"): "a bisect needs the clone",
        ("--tree", "linux", "--good", "nonesuch", "--bad", "main"): "--good nonesuch: no such rev",
        ("--tree", "linux", "--good", "main", "--bad", "start"): "is an ancestor of",
        ("--continue",): "no bisect yet in",
        ("--continue", "--flaky", "8"): "--flaky would not change it",
    }.items():
        done = harness("bisect", *arguments, cwd=project)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
