"""Disk images: the same files as the initramfs, for the kernel to mount."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness import cpio, disk
from harness.errors import HostError, UsageError
from harness.job import Initramfs
from harness.store import Store, digest_of_file

MEMBERS = [
    cpio.folder("dev"),
    cpio.character_device("dev/kmsg", 1, 11),
    cpio.folder("tmp", 0o1777),
    cpio.file("init", b"#!/bin/sh\n", 0o755),
    cpio.symlink("sh", "init"),
]


@pytest.fixture
def source(tmp_path: Path) -> Initramfs:
    path = tmp_path / "initramfs.cpio"
    with path.open("wb") as stream:
        cpio.write(stream, MEMBERS)
    return Initramfs(path=path, digest=digest_of_file(path))


def test_ext4_holds_the_files_and_the_nodes(source: Initramfs, store: Store) -> None:
    image = disk.build(source, "ext4", store=store)
    for name, facts in (
        ("init", ("regular", "0755")),
        ("dev/kmsg", ("character special", "Device major/minor number: 01:11")),
        ("tmp", ("directory", "01777")),
        ("sh", ("symlink", 'Fast link dest: "init"')),
    ):
        said = subprocess.run(
            ["debugfs", "-R", f"stat {name}", image], capture_output=True, text=True, check=True
        ).stdout
        for fact in facts:
            assert fact in said
    assert (
        subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=False).returncode == 0
    )


def test_squashfs_holds_the_files_and_the_nodes(source: Initramfs, store: Store) -> None:
    image = disk.build(source, "squashfs", store=store)
    said = subprocess.run(
        ["unsquashfs", "-lln", image], capture_output=True, text=True, check=True
    ).stdout
    lines = {
        line.split("squashfs-root/")[-1]: line for line in said.splitlines() if "root/" in line
    }
    assert lines["init"].startswith("-rwxr-xr-x 0/0")
    assert lines["dev/kmsg"].startswith("crw------- 0/0")
    assert "1, 11" in lines["dev/kmsg"] or "1,  11" in lines["dev/kmsg"]
    assert lines["sh -> init"].startswith("lrwxrwxrwx")


@pytest.mark.parametrize("file_system", ["ext4", "squashfs"])
def test_the_same_files_give_the_same_bytes(
    source: Initramfs, tmp_path: Path, file_system: str
) -> None:
    images = [
        disk.build(source, file_system, store=Store(tmp_path / name)).read_bytes()
        for name in ("a", "b")
    ]
    assert images[0] == images[1]


def test_the_tool_that_is_missing_is_named(
    source: Initramfs, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/true").symlink_to(shutil.which("true") or "/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(HostError, match="mksquashfs is not on PATH") as caught:
        disk.build(source, "squashfs", store=store)
    assert "squashfs-tools" in (caught.value.hint or "")


@pytest.mark.parametrize("file_system", ["ext4", "squashfs"])
def test_an_image_of_ones_own_has_to_be_whole(
    source: Initramfs, store: Store, tmp_path: Path, file_system: str
) -> None:
    image = tmp_path / "root.img"
    whole = disk.build(source, file_system, store=store).read_bytes()
    image.write_bytes(whole)
    assert disk.check(image, file_system) == image
    image.write_bytes(whole[: 200 if file_system == "squashfs" else -4096])
    with pytest.raises(UsageError, match=f"root.img: cut short: the {file_system} in it has"):
        disk.check(image, file_system)
    image.write_bytes(b"")
    with pytest.raises(UsageError, match=f"root.img: no {file_system} image"):
        disk.check(image, file_system)
