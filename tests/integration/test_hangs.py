"""Where a real kernel hangs: the tool's own, with a few instructions that never end written in."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Harness

from harness import runs

pytestmark = pytest.mark.kernel

SCENARIO = 'title = "init hangs"\nflows = ["wait", "spin"]\nexpectations = "none"\n'
FLOWS = """\
#include <unistd.h>

#include "harness.h"

FLOW(wait)
{
	attempt("wait.pause", pause());
}

FLOW(spin)
{
	step("spin.loop");
	for (;;)
		;
}
"""

SPIN = b"\xeb\xfe"  # jmp to itself
MASKED = b"\xfa" + SPIN  # cli first

# Functions that are called once: while memory is found, and as initcalls.
EARLY = "e820__memory_setup"
INITCALL = "init_per_zone_wmark_min"

Boot = Callable[..., dict[str, Any]]


@pytest.fixture
def boot(harness: Harness, tmp_path: Path) -> Boot:
    """Boot with a scenario that hangs: (arguments) → the result."""
    folder = tmp_path / "hangs"
    folder.mkdir()
    (folder / "scenario.toml").write_text(SCENARIO)
    (folder / "flows.c").write_text(FLOWS)

    def boot_it(*arguments: str | Path) -> dict[str, Any]:
        done = harness("boot", "--scenario", folder, "--timeout", "1.5", "--json", *arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return boot_it


@pytest.fixture
def vmlinux(harness: Harness) -> Path:
    done = harness("build", "--base", "6.18.5")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def written_in(vmlinux: Path, folder: Path, function: str, code: bytes) -> Path:
    """Return a copy of a kernel that has `code` at the start of a function."""
    address = _address_of(vmlinux, function)
    data = bytearray(vmlinux.read_bytes())
    start, (size, count) = (
        struct.unpack_from("<Q", data, 32)[0],
        struct.unpack_from("<HH", data, 54),
    )
    # Of each segment: type, flags, offset, virtual and physical address, size in the file.
    for number in range(count):
        kind, _, offset, virtual, _, length = struct.unpack_from(
            "<IIQQQQ", data, start + number * size
        )
        if kind == 1 and virtual <= address < virtual + length:
            at = offset + address - virtual
            data[at : at + len(code)] = code
    assert data != vmlinux.read_bytes()
    made = folder / "vmlinux"
    made.write_bytes(data)
    return made


def _address_of(vmlinux: Path, function: str) -> int:
    for line in vmlinux.with_name("System.map").read_text().splitlines():
        address, _, name = line.split()
        if name == function:
            return int(address, 16)
    raise AssertionError(function)


@pytest.mark.parametrize(
    ("function", "code", "outcome", "where", "doing"),
    [
        pytest.param(
            EARLY, SPIN, "no-output",
            "before the console, in the start of the kernel, before its initcalls",
            f"busy in {EARLY} < ", id="early",
        ),
        pytest.param(
            INITCALL, SPIN, "hang", f"in initcall {INITCALL}",
            f"busy in {INITCALL} < do_one_initcall", id="initcall",
        ),
        pytest.param(
            INITCALL, MASKED, "hang", f"in initcall {INITCALL}",
            f"busy in {INITCALL} < do_one_initcall", id="interrupts off",
        ),
    ],
)  # fmt: skip
def test_a_kernel_that_hangs_in_a_function_is_found_there(
    boot: Boot,
    vmlinux: Path,
    tmp_path: Path,
    function: str,
    code: bytes,
    outcome: str,
    where: str,
    doing: str,
) -> None:
    result = boot("--flow", "wait", "--kernel", written_in(vmlinux, tmp_path, function, code))
    assert result["verdict"]["outcome"] == outcome, result["verdict"]
    assert result["boot"]["hang"]["where"] == where, result["verdict"]
    assert where in result["verdict"]["reason"]
    assert doing in result["verdict"]["reason"]


@pytest.mark.parametrize(
    ("cmdline", "where"),
    [
        ("", "while the kernel starts"),
        ("initcall_debug ignore_loglevel", f"in initcall {INITCALL}"),
    ],
)
def test_an_initcall_that_sleeps_is_found_if_the_kernel_says_its_name(
    boot: Boot, vmlinux: Path, tmp_path: Path, cmdline: str, where: str
) -> None:
    # mov $0x7fffffff, %edi; call msleep
    jump = _address_of(vmlinux, "msleep") - _address_of(vmlinux, INITCALL) - 10
    code = b"\xbf\xff\xff\xff\x7f\xe8" + struct.pack("<i", jump)
    image = written_in(vmlinux, tmp_path, INITCALL, code)
    hang = boot("--flow", "wait", "--kernel", image, "--cmdline", cmdline)["boot"]["hang"]
    assert hang["where"] == where
    assert hang["idle"]


def test_a_root_that_is_never_mounted(boot: Boot, vmlinux: Path, tmp_path: Path) -> None:
    image = written_in(vmlinux, tmp_path, "prepare_namespace", SPIN)
    result = boot("--kernel", image, "--flow", "wait", "--cmdline", "rdinit=/none")
    assert result["verdict"]["outcome"] == "hang"
    assert result["boot"]["hang"]["where"] == "in mounting the root file system"


def test_an_init_that_spins(boot: Boot, vmlinux: Path) -> None:
    result = boot("--kernel", vmlinux, "--flow", "spin")
    assert (
        "in init at step spin.loop; CPU 0 busy in user space at 0x" in (result["verdict"]["reason"])
    )


def test_an_init_that_waits_and_the_tasks_it_tells_of_are_no_finding(boot: Boot) -> None:
    """On a kernel that is built, whose System.map names the functions."""
    result = boot("--base", "6.18.5", "--flow", "wait")
    assert result["verdict"]["outcome"] == "hang"
    assert (
        "in init at step wait.pause; init waits in __do_sys_pause" in (result["verdict"]["reason"])
    )
    assert result["boot"]["hang"]["cpus"][0]["function"]
    assert result["splats"] == []
    folder = runs.runs_dir() / result["id"]
    assert "sysrq" not in (folder / "console.log").read_text()
    answer = (folder / "hang.log").read_text()
    for words in ("sysrq: Show Regs", "sysrq: Show State", "sysrq: Show Blocked State"):
        assert words in answer
    assert "RIP=" in (folder / "registers.txt").read_text()
