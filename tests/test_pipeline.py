"""The whole line on the stand-in kernel: real git, make, gcc and QEMU, a second a run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT, Harness, commit, git

from harness import runs

SLOW = {
    "config": "CONFIG_SLOW_CONFIG=y",
    "build": "CONFIG_SLOW_BUILD=y",
    "boot": "CONFIG_SLOW_BOOT=y",
}


def change(clone: Path, text: str, subject: str, *, name: str) -> Path:
    """Commit a change of fs/namespace.c on a branch, and give the folder of its one patch."""
    git(clone, "checkout", "-q", "-B", "topic", "main")
    (clone / "fs/namespace.c").write_text(text)
    commit(clone, subject)
    folder = clone.parent / name
    git(clone, "format-patch", "-q", "-o", str(folder), "main")
    git(clone, "checkout", "-q", "main")
    return folder


NAMESPACE = """\
// SPDX-License-Identifier: GPL-2.0-only

const char *mount_answer(void);

/* What a patch of a test changes. */
const char *mount_answer(void)
{
	return " boot.mount=%s";
}
"""


def test_a_run_passes_and_leaves_all_there_is_to_know(harness: Harness, project: Path) -> None:
    done = harness("boot", "--tree", "linux", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"]["outcome"] == "pass"
    assert result["observations"] == {
        "boot.userspace": "yes",
        "boot.can_fork_and_exec": "exit:0",
        "boot.mount": "old",
    }
    assert result["unexpected"] == ["boot.mount"]
    assert [stage["name"] for stage in result["stages"]] == [
        "apply", "config", "build", "initramfs", "boot",
    ]  # fmt: skip
    assert result["boot"]["ended"] == "guest-exit"
    assert result["boot"]["status"] == 33

    folder = runs.runs_dir() / "latest"
    assert folder.resolve().name == result["id"]
    assert json.loads((folder / "result.json").read_text()) == result
    for name in result["files"].values():
        assert (folder / name).stat().st_size > 0 or name == "qmp.jsonl"
    assert b"boot.userspace=yes" in (folder / "console.log").read_bytes()
    assert not [path for path in runs.runs_dir().iterdir() if path.name.startswith(".")]


def test_result_matches_the_published_schema(harness: Harness, project: Path) -> None:
    schema = json.loads((ROOT / "docs/run.schema.json").read_text())
    for arguments in (["--tree", "linux"], ["--tree", "linux", "--kconfig", "CONFIG_NO=y"]):
        done = harness("boot", "--json", *arguments, cwd=project)
        jsonschema.validate(json.loads(done.stdout), schema)


def test_repro_repeats_the_boot_with_qemu_alone(harness: Harness, project: Path) -> None:
    assert harness("boot", "--tree", "linux", cwd=project).returncode == 0
    script = runs.runs_dir() / "latest/repro.sh"
    text = script.read_text()
    assert "harness" not in text.replace("harness.nonce", "").replace("harness.flow", "")
    done = subprocess.run(["sh", str(script)], capture_output=True, timeout=20, check=False)
    assert done.returncode == 33
    assert b"observe boot.userspace=yes" in done.stdout


def test_a_second_run_makes_nothing_again(harness: Harness, project: Path) -> None:
    harness("boot", "--tree", "linux", cwd=project)
    done = harness("boot", "--tree", "linux", "--json", cwd=project)
    made = [stage["name"] for stage in json.loads(done.stdout)["stages"] if not stage["cached"]]
    assert made == ["boot"]


def test_a_patch_is_applied_built_and_seen(harness: Harness, project: Path, clone: Path) -> None:
    series = change(clone, NAMESPACE % "new", "fs: answer anew", name="series")
    before = git(clone, "status", "--porcelain"), git(clone, "for-each-ref"), git(clone, "log")
    harness("boot", "--tree", "linux", cwd=project)
    done = harness("boot", "--tree", "linux", "--series", series, "--json", cwd=project)
    result = json.loads(done.stdout)
    assert result["observations"]["boot.mount"] == "new"
    assert [patch["subject"] for patch in result["job"]["patches"]] == ["fs: answer anew"]
    build = next(stage for stage in result["stages"] if stage["name"] == "build")
    assert build["why"] == "fs/namespace.c differs"
    log = (runs.runs_dir() / "latest/build.log").read_text()
    assert "fs/namespace.o" in log
    assert "init/main.o" not in log
    assert before == (
        git(clone, "status", "--porcelain"), git(clone, "for-each-ref"), git(clone, "log"),
    )  # fmt: skip


def test_a_patch_that_does_not_build_is_untestable(
    harness: Harness, project: Path, clone: Path
) -> None:
    series = change(clone, NAMESPACE % "x" + "int broken = ;\n", "fs: break", name="series")
    done = harness("boot", "--tree", "linux", "--series", series, cwd=project)
    assert done.returncode == 125
    assert done.stdout.startswith(
        "build-failed: the kernel does not build: with patch 1 (fs: break) on "
    )
    assert "fs/namespace.c:10:14: error: expected expression" in done.stdout
    assert (runs.runs_dir() / "latest/build.log").is_file()


def test_a_patch_that_does_not_apply_is_untestable(
    harness: Harness, project: Path, clone: Path
) -> None:
    series = change(clone, NAMESPACE % "new", "fs: answer anew", name="series")
    (clone / "fs/namespace.c").write_text("int nothing_alike;\n")
    commit(clone, "fs: rewrite")
    done = harness("boot", "--tree", "linux", "--series", series, cwd=project)
    assert done.returncode == 125
    assert done.stdout.startswith("apply-failed: ")
    assert "fs: answer anew" in done.stdout
    assert "fs/namespace.c" in done.stdout


def test_a_lost_symbol_is_untestable(harness: Harness, project: Path) -> None:
    done = harness("boot", "--tree", "linux", "--kconfig", "CONFIG_NET_10P=y", cwd=project)
    assert done.returncode == 125
    assert done.stdout.startswith("config-lost: CONFIG_NET_10P did not survive Kconfig on ")
    assert "CONFIG_NET_10P=y (--kconfig): no such symbol in this tree" in done.stdout


def test_two_at_once_on_an_empty_cache_are_right_with_one_build(project: Path) -> None:
    both = [start(project, "--json", "--kconfig", SLOW["build"]) for _ in range(2)]
    results = []
    for child in both:
        out, error = child.communicate(timeout=60)
        assert child.returncode == 0, error
        results.append(json.loads(out))
    builds = [
        stage["cached"] for result in results for stage in result["stages"]
        if stage["name"] == "build"
    ]  # fmt: skip
    assert sorted(builds) == [False, True]


def start(project: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "boot", "--tree", "linux", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for_stage(project: Path, child: subprocess.Popen[bytes], stage: str) -> None:
    """Wait until the run is inside its slow stage: a process of that stage has come up."""
    names = {"config": "sleep", "build": "sleep", "boot": "qemu-system-x86_64"}
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if names[stage] in commands_below(child.pid):
            time.sleep(0.2)
            return
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    raise AssertionError(f"{stage} never began in {project}")


def commands_below(pid: int) -> dict[str, int]:
    """Return the commands of all descendants of a process, with a pid of each."""
    parents: dict[int, tuple[int, str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, tail = path.read_text().rpartition(")")
        except OSError:
            continue
        parents[int(path.parent.name)] = (int(tail.split()[1]), head.partition("(")[2])
    found = {}
    for child in parents:
        above = child
        while above in parents and above != pid:
            above = parents[above][0]
        if above == pid and child != pid:
            found[_full_name(child, parents[child][1])] = child
    return found


def _full_name(pid: int, short: str) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return short
    return os.path.basename(words[0].decode()) or short  # noqa: PTH119 - no path of ours


def processes_of(mark: str) -> list[str]:
    """Return the commands of the processes that have `mark` in their PATH: the run's."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            environment = (path / "environ").read_bytes()
        except OSError:
            continue
        if mark.encode() in environment:
            found.append(words[0].decode())
    return found


@pytest.mark.parametrize("stage", SLOW)
@pytest.mark.parametrize(
    ("signal_", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["^C", "TERM", "KILL"],
)
def test_a_run_that_is_stopped_leaves_nothing_and_the_next_is_right(
    harness: Harness,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    signal_: signal.Signals,
    code: int,
) -> None:
    # PATH is all that a build is given of the environment.
    mark = f"/harness-test-{os.getpid()}-{time.monotonic_ns()}"
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{path}:{mark}")
    child = start(project, "--kconfig", SLOW[stage])
    wait_for_stage(project, child, stage)
    assert len(processes_of(mark)) > 1
    child.send_signal(signal_)
    _, error = child.communicate(timeout=15)
    assert child.returncode == code, error
    assert b"Traceback" not in error

    end = time.monotonic() + 5
    while processes_of(mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert processes_of(mark) == []
    if signal_ is not signal.SIGKILL:
        assert error.endswith(b"interrupted\n")
        assert not list((tmp_path / "cache/harness/tmp").glob("*"))
    assert not list((tmp_path / "state/harness/runs").glob("*/result.json"))

    monkeypatch.setenv("PATH", path)
    done = harness("boot", "--tree", "linux", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list((tmp_path / "cache/harness/tmp").glob("*"))


@pytest.mark.parametrize("delay_s", [0.05 * step for step in range(1, 17)])
def test_a_run_killed_at_any_moment_spoils_nothing(
    harness: Harness, project: Path, clone: Path, delay_s: float
) -> None:
    series = change(clone, NAMESPACE % "new", "fs: answer anew", name="series")
    child = start(project, "--series", str(series))
    time.sleep(delay_s)
    child.kill()
    child.communicate(timeout=10)
    done = harness("boot", "--tree", "linux", "--series", series, "--json", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["observations"]["boot.mount"] == "new"
