"""The flagship series on real kernels in real QEMU: both ways, patch by patch, on both bases."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.pytest_plugin import Booted

pytestmark = pytest.mark.kernel

Boot = Callable[..., Booted]

BASES = ("6.18.5", "6.19.11")
OPTION = "nullfs_rootfs"
SUBJECTS = [
    "fs: ensure that internal tmpfs mount gets mount id zero",
    "fs: add init_pivot_root()",
    "fs: add immutable rootfs",
    "docs: mention nullfs",
]


@pytest.mark.parametrize("base", BASES)
def test_with_the_option_init_pivots_off_its_initramfs(boot: Boot, base: str) -> None:
    run = boot(base=base, cmdline=OPTION)
    assert run.outcome == "pass", run.reason
    assert run.result.job.variant == "nullfs"
    assert run.observed["pivot.target_is_mount"] == "yes"
    assert run.observed["pivot.pivot_root"] == "0"
    assert run.observed["pivot.umount2"] == "0"
    assert (run.observed["root.mnt_id"], run.observed["root.parent_mnt_id"]) == ("2", "1")
    assert "VFS: Finished mounting rootfs on nullfs" in run.console


@pytest.mark.parametrize("base", BASES)
def test_without_it_nothing_changes(boot: Boot, base: str) -> None:
    run = boot(base=base)
    assert run.outcome == "pass", run.reason
    assert run.result.job.variant == "rootfs"
    assert run.observed["pivot.target_is_mount"] == "yes"
    assert run.observed["pivot.parent_is_private"] == "yes"
    assert run.observed["pivot.pivot_root"] == "EINVAL"
    assert (run.observed["root.mnt_id"], run.observed["root.parent_mnt_id"]) == ("1", "1")


@pytest.mark.parametrize(("base", "first"), [("6.18.5", "applied"), ("6.19.11", "already-applied")])
def test_the_first_patch_is_told_where_its_change_is_in_the_base(
    boot: Boot, base: str, first: str
) -> None:
    patches = boot(base=base, cmdline=OPTION).result.job.patches
    assert [patch.subject for patch in patches] == SUBJECTS
    assert [patch.state for patch in patches] == [first, "applied", "applied", "applied"]


def test_the_other_control_has_no_patches(boot: Boot) -> None:
    run = boot(series="none", base="6.18.5", scenario="nullfs")
    assert run.outcome == "pass", run.reason
    assert run.result.job.variant == "unpatched"
    assert run.observed["pivot.pivot_root"] == "EINVAL"


def test_an_option_the_kernel_does_not_have_is_never_a_pass(boot: Boot) -> None:
    run = boot(series="nullfs:2", base="6.18.5", cmdline=OPTION)
    assert run.outcome == "fail"
    assert run.reason == (
        'the kernel does not know "nullfs_rootfs": it was passed to user space, '
        "so the option was not tested"
    )


def test_the_option_takes_no_value(boot: Boot) -> None:
    run = boot(cmdline=f"{OPTION}=1")
    assert run.outcome == "fail"
    assert f'"{OPTION}=1"' in run.reason
    assert run.observed["pivot.pivot_root"] == "EINVAL"


def test_dashes_are_underscores(boot: Boot) -> None:
    run = boot(cmdline="nullfs-rootfs")
    assert run.outcome == "pass", run.reason
    assert run.result.job.variant == "nullfs"


def test_the_wrong_column_fails_with_both_values(boot: Boot) -> None:
    run = boot(cmdline=OPTION, expect="rootfs")
    assert run.outcome == "fail"
    row = next(row for row in run.result.expectations if row.name == "pivot.pivot_root")
    assert (row.expected, row.observed, row.ok) == ("EINVAL", "0", False)


@pytest.mark.parametrize(
    "flow", ["keep", "legacy", "fallback", "switch_root_busybox", "switch_root_util", "memory"]
)
@pytest.mark.parametrize("cmdline", [OPTION, ""])
def test_the_other_ways_off_an_initramfs(boot: Boot, flow: str, cmdline: str) -> None:
    run = boot(cmdline=cmdline, flows=(flow,))
    assert run.outcome == "pass", run.reason


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("cmdline", [OPTION, ""])
def test_what_children_see_of_nullfs(boot: Boot, base: str, cmdline: str) -> None:
    flows = ("ids", "standing", "namespace", "userns", "empty", "shared", "busy")
    run = boot(base=base, cmdline=cmdline, flows=flows)
    assert run.outcome == "pass", run.reason
    assert len(run.result.boots) == 1


@pytest.mark.parametrize(("cmdline", "boots"), [(OPTION, 20), ("", 15)])
def test_every_flow_on_a_kernel_that_has_all_they_need(
    boot: Boot, cmdline: str, boots: int
) -> None:
    # The full profile has the disks and the CPUs, and another test builds it.
    run = boot(profile="full", cmdline=cmdline, flows=("all",))
    assert run.outcome == "pass", run.reason
    assert len(run.result.boots) == boots
    assert run.result.not_booted == []
    assert {row.name for row in run.result.expectations if row.finding} >= (
        {"userns.user.umount", "memory.reclaimed"} if cmdline else set()
    )


def test_records_go_on_in_the_init_that_switch_root_execs(boot: Boot) -> None:
    run = boot(cmdline=OPTION, flows=("switch_root_busybox",))
    assert run.observed["switch_root_busybox.initramfs_is_deleted"] == "yes"
    assert run.console.count(" begin proto=1 ") == 1


def test_who_holds_the_initramfs_is_named(boot: Boot) -> None:
    run = boot(cmdline=OPTION, flows=("memory",))
    assert run.observed["memory.reclaimed"] == "no"
    assert run.observed["memory.holders"] == "kdevtmpfs:mnt_ns"


def test_a_series_without_guest_code_reaches_userspace(boot: Boot) -> None:
    run = boot(scenario="boot")
    assert run.outcome == "pass", run.reason
    assert run.observed["boot.userspace"] == "yes"
    assert run.observed["boot.release"] == "6.18.5"


def test_a_kernel_without_init_panics(boot: Boot) -> None:
    run = boot(scenario="boot", cmdline="rdinit=/nothing root=/dev/nothing")
    assert run.outcome == "panic"
    assert run.reason == "panic: no working init"


def test_a_hang_is_told_by_the_step_it_hangs_in(boot: Boot, tmp_path: Path) -> None:
    folder = tmp_path / "stuck"
    folder.mkdir()
    (folder / "scenario.toml").write_text(
        'title = "waits for what does not come"\nflows = ["stuck"]\nexpectations = "none"\n'
    )
    (folder / "stuck.c").write_text(
        '#include <unistd.h>\n#include "harness.h"\nFLOW(stuck) { step("stuck.pause"); pause(); }\n'
    )
    run = boot(scenario=str(folder), timeout_s=4.0)
    assert run.outcome == "hang"
    assert "in init at step stuck.pause; init waits in __do_sys_pause" in run.reason
    assert run.result.boot is not None
    assert run.result.boot.ended == "deadline"
