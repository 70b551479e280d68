"""Several boots a job, on the stand-in kernel."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Harness

from harness import runs

SCENARIO = """\
title = "several boots"
flows = ["one", "two", "three", "four"]
sources = []

[[boot]]
flows = ["two", "three"]
cmdline = "quiet_as_can_be"

[[boot]]
flows = ["four"]
cmdline = "only four"
own-cmdline = true

[[observe-log]]
observe = "*.only"
text = "stand-in"
"""

EXPECT = """\
[[expect]]
observe = "boot.userspace"
flow = "*"
claim = "it runs"
default = "yes"

[[expect]]
observe = "*.only"
flow = "*"
claim = "the banner names the stand-in"
default = "yes"
"""


@pytest.fixture
def several(project: Path) -> Path:
    folder = project / "initramfs/several"
    folder.mkdir(parents=True)
    (folder / "scenario.toml").write_text(SCENARIO)
    (folder / "expect.toml").write_text(EXPECT)
    (project / "linux").resolve()
    return project


def _boot(harness: Harness, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return harness(
        "boot", "--tree", "linux", "--scenario", "several", "--flow", "all", *arguments, cwd=project
    )


def test_one_run_has_all_boots(harness: Harness, several: Path) -> None:
    done = _boot(harness, several, "--cmdline", "x=1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"]["reason"] == ("all 6 expectations hold in 3 boots, judged as default")
    assert [(b["name"], b["flows"], b["outcome"]) for b in result["boots"]] == [
        ("one", ["one"], "pass"),
        ("two", ["two", "three"], "pass"),
        ("four", ["four"], "pass"),
    ]
    ends = [boot["cmdline"].partition("harness.flow=")[2] for boot in result["boots"]]
    assert ends == ["one x=1", "two,three quiet_as_can_be x=1", "four only four"]
    assert len({boot["cmdline"].partition("nonce=")[2][:8] for boot in result["boots"]}) == 3
    folder = runs.runs_dir() / result["id"]
    for boot in result["boots"]:
        log = (folder / boot["files"]["console"]).read_text()
        assert f"flow={','.join(boot['flows'])}" in log
        again = subprocess.run(
            ["sh", folder / boot["files"]["repro"]], capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        assert again.returncode == 33
        assert f"flow={','.join(boot['flows'])}" in again.stdout
    assert result["files"]["console"] == "boots/one/console.log"


def test_no_boot_follows_one_that_hangs(harness: Harness, several: Path) -> None:
    path = several / "initramfs/several/scenario.toml"
    path.write_text(path.read_text().replace("quiet_as_can_be", "hang=yes"))
    # With the console shown the boots are made one by one.
    done = _boot(harness, several, "--timeout", "3", "--verbose")
    assert done.returncode == 1
    assert done.stdout.startswith("hang: boot two: the guest had not ended")
    assert "not booted: four: boot two ended in hang" in done.stdout
    result = runs.read(runs.find(None))
    assert [boot.name for boot in result.boots] == ["one", "two"]
    assert result.files["console"] == "boots/two/console.log"
    assert result.boot is not None
    assert result.boot.ended == "deadline"


def test_interrupted_boots_leave_no_qemu(harness: Harness, several: Path) -> None:
    assert _boot(harness, several).returncode == 0
    child = subprocess.Popen(
        [
            sys.executable, "-m", "harness", "boot", "--tree", "linux", "--scenario", "several",
            "--flow", "all", "--cmdline", "hang=yes",
        ],
        cwd=several, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    _wait_for(lambda: len(_qemus(child.pid)) >= min(2, len(os.sched_getaffinity(0))))
    os.kill(child.pid, signal.SIGINT)
    started = time.monotonic()
    assert child.wait(timeout=15) == 130
    assert time.monotonic() - started < 5
    _wait_for(lambda: not _qemus(child.pid))


def _qemus(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name.startswith("qemu") and int(rest.split()[1]) == parent:
            found.append(int(path.parent.name))
    return found


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
