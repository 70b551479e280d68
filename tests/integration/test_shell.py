"""`harness shell`: a person at a terminal, played by pexpect."""

import sys
import time
from pathlib import Path

import pexpect
import pytest
from conftest import Harness

pytestmark = pytest.mark.kernel


def spawn(harness: Harness, tmp_path: Path, *arguments: str) -> "pexpect.spawn[str]":
    kernel = [word for word in arguments if word in {"--profile", "full"}]
    # Minutes, if it is not there yet; a prompt takes seconds.
    assert harness("build", *kernel).returncode == 0
    return pexpect.spawn(
        sys.executable,
        ["-m", "harness", "shell", *arguments],
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=60,
    )


def test_busybox_gives_a_prompt_on_the_kernel_under_test(harness: Harness, tmp_path: Path) -> None:
    child = spawn(harness, tmp_path, "--cmdline", "nullfs_rootfs")
    child.expect_exact("(guest)")
    child.sendline("head -n 1 /proc/self/mountinfo")
    child.expect(r"2 1 0:\d+ / / rw - rootfs rootfs")
    child.sendline("sleep 600")
    child.expect_exact("sleep 600")
    # Until the shell has started it, ^C would be the shell's.
    time.sleep(2)
    child.sendintr()
    child.expect_exact("(guest)")
    child.sendline("echo still $((40 + 2))")
    child.expect_exact("still 42")
    child.sendline("exit")
    child.expect(pexpect.EOF)


def test_a_full_kernel_has_this_machines_root(harness: Harness, tmp_path: Path) -> None:
    child = spawn(harness, tmp_path, "--profile", "full", "--memory", "512")
    child.expect(r"[#$] $")
    child.sendline(f"test -d {Path(__file__).parent} && uname -r && echo got $((40 + 2))")
    child.expect_exact("6.18.5")
    child.expect_exact("got 42")
    child.sendline("exit")
    child.expect(pexpect.EOF)
