"""A whole kernel with DWARF: the calls of its report have the lines of its source."""

import json
from pathlib import Path

import pytest
from conftest import Harness

from harness import console, symbols

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

CALLS = {
    "sysrq_handle_crash": ["sysrq_handle_crash drivers/tty/sysrq.c:154"],
    "write_sysrq_trigger": ["write_sysrq_trigger drivers/tty/sysrq.c:1221"],
    "proc_reg_write": ["pde_write fs/proc/inode.c:330", "proc_reg_write fs/proc/inode.c:342"],
    "do_syscall_64": [
        "do_syscall_x64 arch/x86/entry/syscall_64.c:63",
        "do_syscall_64 arch/x86/entry/syscall_64.c:94",
    ],
}


def test_calls_of_a_panic_have_the_lines_of_the_source(harness: Harness, tmp_path: Path) -> None:
    wanted = ("--kconfig", "CONFIG_DEBUG_KERNEL=y", "--kconfig", "CONFIG_DEBUG_INFO_DWARF5=y")
    done = harness(
        "boot", "--json", "--out", tmp_path, "--base", "6.18.5", "--series", "none",
        "--scenario", "crash", "--flow", "panic_reboots", *wanted,
    )  # fmt: skip
    verdict = json.loads(done.stdout)["verdict"]
    assert verdict["outcome"] == "panic", verdict
    assert any(CALLS["sysrq_handle_crash"][0] in line for line in verdict["evidence"])

    (log,) = tmp_path.rglob("console.log")
    found = symbols.locate(console.parse(log.read_bytes()), log.parent / "vmlinux")
    places = {
        place.call.partition("+")[0]: [f"{at.function} {at.file}:{at.line}" for at in place.at]
        for place in found.splats[0].places
    }
    assert {name: places.get(name) for name in CALLS} == CALLS
