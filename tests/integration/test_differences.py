"""observe, diff and matrix on real kernels: what the series changes, and nothing else."""

import json

import pytest
from conftest import Harness

from harness import runs
from harness.matrix_report import matrices_dir

pytestmark = pytest.mark.kernel

OPTION = "nullfs_rootfs"


def rows(document: str) -> dict[str, tuple[str | None, str | None]]:
    (comparison,) = json.loads(document)["comparisons"]
    return {row["name"]: (row["before"], row["after"]) for row in comparison["rows"]}


def test_the_series_changes_what_it_says(harness: Harness) -> None:
    done = harness(
        "diff", "--base", "6.18.5", "--series", "none", "--series", "nullfs",
        "--cmdline", OPTION, "--flow", "pivot", "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = rows(done.stdout)
    assert found["pivot.pivot_root"] == ("EINVAL", "0")
    assert found["pivot.umount2"] == (None, "0")
    assert found["root.parent_type"] == ("rootfs", "nullfs")
    assert "root.type" not in found


def test_without_the_option_only_the_mount_ids_change(harness: Harness) -> None:
    done = harness(
        "diff", "--base", "6.18.5", "--series", "none", "--series", "nullfs",
        "--flow", "pivot,keep,legacy", "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = rows(done.stdout)
    assert set(found.values()) == {("2", "1")}
    assert all(name.endswith(("mnt_id", "old_id")) for name in found)


def test_two_boots_of_one_kernel_do_not_differ(harness: Harness) -> None:
    """All that is observed is the same from boot to boot, or normalised."""
    # All flows; the full profile has what they need, and another test builds it.
    done = harness(
        "diff", "--profile", "full", "--cmdline", OPTION, "--cmdline", f"{OPTION} another=word",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_each_patch_shows_what_it_changes(harness: Harness) -> None:
    done = harness(
        "diff", "--each-patch", "--base", "6.18.5", "--flow", "pivot,keep,legacy", "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    comparisons = json.loads(done.stdout)["comparisons"]
    assert [bool(each["rows"]) for each in comparisons] == [True, False, False, False]
    assert comparisons[0]["title"].startswith("patch 1: fs: ensure that internal tmpfs mount")


def test_the_projects_matrix_on_the_kernels_that_are_there(harness: Harness) -> None:
    done = harness(
        "matrix", "nullfs", "--axis", "shape=tiny", "--axis", "flow=pivot", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["kernels"], result["outcomes"]) == (2, {"pass": 4})
    folder = (matrices_dir() / "latest").resolve()
    jobs = [runs.read(folder / cell["run"]).job for cell in result["cells"]]
    assert {(job.base, job.variant) for job in jobs} == {
        ("6.18.5", "rootfs"), ("6.18.5", "nullfs"), ("6.19.11", "rootfs"), ("6.19.11", "nullfs"),
    }  # fmt: skip
