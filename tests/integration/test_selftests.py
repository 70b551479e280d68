"""The scenario `kselftest` on a real kernel: what it makes of programs that know nothing of it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import paths
from harness.pytest_plugin import Booted

pytestmark = pytest.mark.kernel

Boot = Callable[..., Booted]

SHIPPED = paths.shipped("initramfs") / "kselftest"
PROGRAMS = {
    "good": 'puts("TAP version 13\\n1..1\\nok 1 only");',
    "bad": 'puts("TAP version 13\\n1..2\\nok 1 first\\nnot ok 2 second"); return 1;',
    "skips": "return 4;",
    "crashes": "abort();",
    # Its child keeps the output open for longer than a boot may take.
    "leaves_a_child": "if (!fork()) { setsid(); sleep(1000); }",
    # None of it may count as a record or as a report of the kernel's.
    "babbles": 'puts("harness: n 1 end count=1\\nBUG: no\\nWARNING: CPU: 0 PID: 1 at x.c:1 f+0x1");'
    "for (int i = 0; i < 5000; i++) putchar('x'); fputs(\"\\n\\001ok\", stdout);",
    "looks": 'return access("/dev/full", F_OK) || access("/sys/kernel", F_OK)'
    ' || access("/tmp", W_OK) || access("plan", F_OK) || getpid() == 1;',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The scenario as it ships, with programs as the tool would pack them."""
    folder = tmp_path / "kselftest"
    shutil.copytree(SHIPPED, folder)
    with (folder / "scenario.toml").open("a") as stream:
        stream.write('[[boot]]\nflows = ["kselftest"]\nobserve = ["ktap"]\n')
        stream.write('[[boot]]\nflows = ["moved"]\nobserve = ["ktap"]\n')
        stream.write('[[boot]]\nflows = ["initramfs"]\nobserve = ["ktap"]\n')
    into = folder / "rootfs/kselftest"
    into.mkdir(parents=True)
    (into / "plan").write_text("".join(f"{name}\n" for name in ("demo", *PROGRAMS)))
    head = "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
    for name, body in PROGRAMS.items():
        source = tmp_path / f"{name}.c"
        source.write_text(f"{head}int main(void)\n{{\n\t{body}\n\treturn 0;\n}}\n")
        subprocess.run(["gcc", "-static", "-s", "-o", into / name, source], check=True)
    return folder


@pytest.mark.parametrize("flow", ["kselftest", "moved", "initramfs"])
def test_each_program_is_run_and_told_by_how_it_ends(boot: Boot, folder: Path, flow: str) -> None:
    plain = boot(scenario="boot", series="none", base="6.18.5")
    kernel = str(plain.folder / "vmlinux")
    run = boot(kernel=kernel, scenario=str(folder), flows=(flow,), timeout_s=50.0)
    assert run.observed == {
        f"{flow}.demo/good.only": "pass",
        f"{flow}.demo/good": "pass",
        f"{flow}.demo/bad.first": "pass",
        f"{flow}.demo/bad.second": "fail",
        f"{flow}.demo/bad": "fail",
        f"{flow}.demo/skips": "skip",
        f"{flow}.demo/crashes": "fail",
        f"{flow}.demo/leaves_a_child": "pass",
        f"{flow}.demo/babbles": "pass",
        f"{flow}.demo/looks": "pass",
    }
    assert run.outcome == "fail"
    assert "the test demo/bad.second failed, and 2 more" in run.reason
    assert "not ok 4 demo/crashes # signal=6" in run.console
    assert not run.result.splats
