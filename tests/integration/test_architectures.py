"""The flagship series elsewhere than on x86_64 with gcc: every flow, and nothing that differs.

Each kernel takes minutes to build, and the compilers are packages of their own (`harness doctor`
names them): `pytest -m slow` runs these, and nothing else does.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Harness

from harness import kconfig
from harness.pytest_plugin import Booted

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

Boot = Callable[..., Booted]

BASES = ("6.18.5", "6.19.11")
FLAVORS = kconfig.available((ROOT / "kconfigs",), "flavor")
# Those that need neither a disk nor a program of this machine's.
FLOWS = (
    *("pivot", "keep", "legacy", "fallback", "cmdline_ramfs"),
    *("ids", "standing", "namespace", "userns", "empty", "shared", "busy"),
)

# The newest that is whole: a distribution's plain one may be too old for a kernel.
_PARTS = ("clang", "ld.lld", "llvm-ar")
LLVM = next(
    (f"llvm-{n}" for n in range(40, 14, -1) if all(shutil.which(f"{part}-{n}") for part in _PARTS)),
    "llvm",
)


@pytest.mark.parametrize("cmdline", ["nullfs_rootfs", ""], ids=["option", "control"])
@pytest.mark.parametrize("base", BASES)
def test_arm64_observes_what_x86_64_does(boot: Boot, base: str, cmdline: str) -> None:
    here = boot(base=base, flows=FLOWS, cmdline=cmdline)
    there = boot(base=base, flows=FLOWS, cmdline=cmdline, arch="arm64")
    assert (here.outcome, there.outcome) == ("pass", "pass"), there.reason
    assert there.observed == here.observed
    assert len(there.observed) > 100


def test_without_the_series_too(boot: Boot) -> None:
    here = boot(series="none", base="6.18.5", scenario="nullfs")
    there = boot(series="none", base="6.18.5", scenario="nullfs", arch="arm64")
    assert (here.outcome, there.outcome) == ("pass", "pass"), there.reason
    assert there.observed == here.observed


def test_a_panic_on_arm64_is_one(boot: Boot) -> None:
    run = boot(base="6.18.5", cmdline="rdinit=/nothing", arch="arm64")
    assert run.outcome == "panic"
    assert "--arch arm64" in run.result.repro


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "arguments",
    [
        *(pytest.param(["--profile", name], id=name) for name in ("tiny", "full")),
        *(pytest.param(["--flavor", name], id=name) for name in FLAVORS),
    ],
)
def test_every_symbol_survives_on_arm64(harness: Harness, base: str, arguments: list[str]) -> None:
    done = harness("config", "--arch", "arm64", "--base", base, *arguments)
    assert done.returncode == 0, done.stderr
    text = Path(done.stdout.strip()).read_text()
    # The bridge is asked for softly: it has to be there where it matters.
    assert ("CONFIG_PCI_HOST_GENERIC=y" in text) == ("full" in arguments)


def test_llvm_builds_a_kernel_that_does_the_same(boot: Boot) -> None:
    gcc = boot(base="6.18.5", flows=FLOWS, cmdline="nullfs_rootfs")
    llvm = boot(base="6.18.5", flows=FLOWS, cmdline="nullfs_rootfs", toolchain=LLVM)
    assert llvm.outcome == "pass", llvm.reason
    assert llvm.observed == gcc.observed
    assert "clang version" in llvm.console
