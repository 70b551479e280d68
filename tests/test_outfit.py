"""What a boot is given, and what a kernel cannot boot."""

from pathlib import Path

import msgspec
import pytest

from harness import arch, outfit
from harness.errors import UsageError
from harness.job import BootPlan, Kernel

X86, ARM64 = arch.load("x86_64"), arch.load("arm64")
PLAIN = BootPlan(flows=("pivot",))
DISK = BootPlan(flows=("root",), disk="ext4", cmdline="root={disk} rw")
PROGRAMS = BootPlan(flows=("switch", "root"), programs=("busybox",))


def _kernel(folder: Path, *symbols: str, built: bool = False) -> Kernel:
    config = folder / "config"
    config.write_text("".join(f"CONFIG_{symbol}=y\n" for symbol in symbols))
    return Kernel(
        arch="x86_64", release="6.12", banner="Linux version 6.12", image=folder / "k",
        digest="d", built=built, config=config,
    )  # fmt: skip


def test_a_kernel_that_was_built_here_has_all_it_was_asked_for(tmp_path: Path) -> None:
    can, cannot = outfit.choose([PLAIN, DISK, PROGRAMS], _kernel(tmp_path, built=True), X86)
    assert [plan.name for plan in can] == ["pivot", "root", "switch"]
    assert can[1].cmdline == "root=/dev/vda rw"
    assert cannot == ()


def test_the_disk_is_one_that_the_kernel_knows(tmp_path: Path) -> None:
    kernel = _kernel(tmp_path, "EXT4_FS", "PCI", "BLK_DEV_NVME")
    (plan,), _ = outfit.choose([DISK], kernel, X86)
    assert plan.cmdline == "root=/dev/nvme0n1 rw"


@pytest.mark.parametrize(
    ("symbols", "lack"),
    [
        (["PCI", "BLK_DEV_NVME"], "CONFIG_EXT4_FS=y"),
        (["EXT4_FS"], "a driver for a disk"),
    ],
)
def test_what_a_kernel_lacks_is_named(tmp_path: Path, symbols: list[str], lack: str) -> None:
    kernel = _kernel(tmp_path, *symbols)
    can, (cannot,) = outfit.choose([PLAIN, DISK], kernel, X86)
    assert can == (PLAIN,)
    assert (cannot.name, cannot.reason) == ("root", f"6.12 has not built in: {lack}")
    with pytest.raises(UsageError, match=f"flow root: 6.12 has not built in: {lack}"):
        outfit.choose([DISK], kernel, X86)


def test_no_disk_is_guessed_for_a_kernel_of_unknown_config(tmp_path: Path) -> None:
    kernel = msgspec.structs.replace(_kernel(tmp_path), config=None)
    can, (cannot,) = outfit.choose([PLAIN, DISK], kernel, X86)
    assert can == (PLAIN,)
    assert cannot.reason == "which disks 6.12 can see is not known: no .config of it is there"


def test_programs_of_this_machine_are_for_its_own_architecture(tmp_path: Path) -> None:
    foreign = ARM64 if X86.is_native else X86
    can, (cannot,) = outfit.choose([PLAIN, PROGRAMS], _kernel(tmp_path, built=True), foreign)
    assert can == (PLAIN,)
    assert cannot.flows == ("switch", "root")
    assert "programs of this machine" in cannot.reason
