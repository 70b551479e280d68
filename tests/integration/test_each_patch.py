"""The series patch by patch, from the base up.

In a file that comes first: from an empty cache each kernel is then built from the one before.
"""

from collections.abc import Callable

import pytest

from harness.pytest_plugin import Booted

pytestmark = pytest.mark.kernel

Boot = Callable[..., Booted]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_patch_alone_builds_without_a_new_warning_and_boots(boot: Boot, count: int) -> None:
    base = boot(series="none", base="6.18.5", scenario="nullfs")
    run = boot(series=f"nullfs:{count}", base="6.18.5")
    assert run.outcome == "pass", run.reason
    assert run.result.job.variant == "rootfs"
    assert len(run.result.job.patches) == count
    assert (run.folder / "build.log").read_text().count("warning:") == (
        base.folder / "build.log"
    ).read_text().count("warning:")


def test_mount_ids_are_what_patch_one_says(boot: Boot) -> None:
    """Without it the internal tmpfs mount takes id 1, which is why it is there."""
    without = boot(series="none", base="6.18.5", scenario="nullfs")
    assert without.observed["root.mnt_id"] == "2"
    assert boot(series="nullfs:1", base="6.18.5").observed["root.mnt_id"] == "1"
