"""A real kernel undoes each compression: without that there would be no init to report."""

from collections.abc import Callable

import pytest

from harness import compress
from harness.pytest_plugin import Booted

pytestmark = pytest.mark.kernel

Boot = Callable[..., Booted]


# A kernel of its own, and the project's matrix boots it too.
@pytest.mark.slow
@pytest.mark.parametrize("name", compress.NAMES)
def test_one_kernel_boots_each(boot: Boot, name: str) -> None:
    run = boot(flavors=("decompressors",), compress=name, cmdline="nullfs_rootfs")
    assert run.outcome == "pass", run.reason
    assert run.observed["pivot.pivot_root"] == "0"


def test_a_kernel_without_the_decompressor_finds_no_init(boot: Boot) -> None:
    plain = boot(scenario="boot")
    run = boot(kernel=str(plain.folder / "vmlinux"), scenario="boot", compress="xz")
    assert run.outcome == "panic"
    assert "compression method xz not configured" in run.console
