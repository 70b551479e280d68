"""A real kernel that the tool does not know as its own: out of a package, and compressed."""

import shutil
from pathlib import Path

import pytest
from conftest import Harness
from images import deb, packed, rpm

pytestmark = pytest.mark.kernel


def test_an_unpatched_kernel_is_a_control_from_whatever_holds_it(
    harness: Harness, tmp_path: Path
) -> None:
    built = harness("build", "--series", "none", "--base", "6.18.5")
    assert built.returncode == 0, built.stderr
    image = tmp_path / "vmlinux"
    shutil.copy(built.stdout.strip(), image)
    xz = packed(image, "xz")
    name = "usr/lib/modules/6.18.5/vmlinux"
    for path in (
        xz,
        deb(tmp_path / "kernel.deb", {f"{name}.xz": xz.read_bytes()}),
        rpm(tmp_path / "kernel.rpm", {name: image.read_bytes()}),
    ):
        arguments = ["--scenario", "nullfs", "--flow", "keep", "--cmdline", "loglevel=7"]
        done = harness("boot", "--kernel", path, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"6.18.5 from {path}" in done.stdout
        assert "judged as unpatched" in done.stdout
