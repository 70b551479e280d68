import struct
from pathlib import Path

import pytest
from images import BANNER, bzimage, vmlinux

from harness import arch, image
from harness.errors import UsageError
from harness.job import Kernel
from harness.store import Store

ARCH = arch.load("x86_64")
ARM64 = arch.load("arm64")


def inspect(folder: Path, data: bytes, row: arch.Arch = ARCH) -> Kernel:
    path = folder / "image"
    path.write_bytes(data)
    return image.inspect(path, row)


def test_a_bzimage(tmp_path: Path) -> None:
    kernel = inspect(tmp_path, bzimage())
    assert (kernel.release, kernel.banner) == ("6.12.1-amd64", BANNER)
    assert kernel.image == tmp_path / "image"
    assert not kernel.built


def test_a_vmlinux(tmp_path: Path, store: Store) -> None:
    kernel = inspect(tmp_path, vmlinux(store, tmp_path, f"{BANNER} (gcc 12) #1 SMP now"))
    assert (kernel.release, kernel.banner) == ("6.12.1-amd64", f"{BANNER} (gcc 12)")


def test_a_vmlinux_without_a_pvh_entry_names_the_image_to_use(tmp_path: Path, store: Store) -> None:
    data = vmlinux(store, tmp_path, BANNER).replace(b"Xen\0", b"Xon\0")
    with pytest.raises(UsageError, match="CONFIG_PVH") as caught:
        inspect(tmp_path, data)
    assert "arch/x86/boot/bzImage" in str(caught.value.hint)


def arm64_image(banner: str) -> bytes:
    head = b"MZ" + bytes(0x36) + b"ARM\x64"
    return head + bytes(0x1000) + b"%s version %s\n\0" + f"{banner}\n\0".encode() + bytes(0x1000)


def test_an_image_of_arm64(tmp_path: Path) -> None:
    kernel = inspect(tmp_path, arm64_image(f"{BANNER} (gcc 12) #1 SMP now"), ARM64)
    assert (kernel.release, kernel.banner) == ("6.12.1-amd64", f"{BANNER} (gcc 12)")
    with pytest.raises(UsageError, match="an Image that does not say its version"):
        inspect(tmp_path, arm64_image("nothing of the kind"), ARM64)


def test_a_vmlinux_of_arm64_names_the_image_to_use(tmp_path: Path, store: Store) -> None:
    data = bytearray(vmlinux(store, tmp_path, BANNER))
    struct.pack_into("<H", data, 18, 183)
    with pytest.raises(UsageError, match="a vmlinux, which QEMU cannot enter") as caught:
        inspect(tmp_path, bytes(data), ARM64)
    assert "arch/arm64/boot/Image" in str(caught.value.hint)


def test_each_architecture_is_told_what_to_give(tmp_path: Path) -> None:
    hints = []
    for row in (ARCH, ARM64):
        with pytest.raises(UsageError) as caught:
            inspect(tmp_path, b"hello\n", row)
        hints.append(caught.value.hint)
    assert hints == ["expected vmlinux or bzImage for x86_64", "expected Image for arm64"]


def test_an_elf_program_is_no_kernel(tmp_path: Path, store: Store) -> None:
    with pytest.raises(UsageError, match="no kernel but an ELF program"):
        inspect(tmp_path, vmlinux(store, tmp_path, "nothing of the kind"))


def test_a_module_is_no_kernel(tmp_path: Path, store: Store) -> None:
    data = bytearray(vmlinux(store, tmp_path, BANNER))
    struct.pack_into("<H", data, 16, 1)
    with pytest.raises(UsageError, match="a module"):
        inspect(tmp_path, bytes(data))


@pytest.mark.parametrize(("machine", "name"), [(183, "aarch64"), (3, "i386"), (99, "machine 99")])
def test_a_kernel_of_another_machine(tmp_path: Path, store: Store, machine: int, name: str) -> None:
    data = bytearray(vmlinux(store, tmp_path, BANNER))
    struct.pack_into("<H", data, 18, machine)
    with pytest.raises(UsageError, match=f"{name}, expected x86_64"):
        inspect(tmp_path, bytes(data))


def test_a_32_bit_bzimage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="for i386, expected x86_64"):
        inspect(tmp_path, bzimage(xloadflags=0))
    # Older boot protocols do not tell.
    assert inspect(tmp_path, bzimage("3.2.0", xloadflags=0, protocol=0x20B)).release == "3.2.0"


def test_a_bzimage_that_does_not_say_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say its version"):
        inspect(tmp_path, bzimage("?"))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh9", "bzip2"),
        (b"MZ\x90\0", "EFI program"),
        (b"MZ\0\0zimg", "compressed EFI kernel"),
        (b"MZ" + bytes(0x36) + b"ARM\x64", "aarch64"),
        (b"!<arch>\ndebian-binary", "archive"),
        (b"070701000", "initramfs"),
        (b"#!/bin/sh\n", "script"),
        (b"hello\n", "text"),
        (b"\0" * 600, "600 bytes"),
        (b"\x7fELF", "cut short"),
        (bzimage()[:0x208], "cut short"),
        (bzimage()[:-1], "cut short: 4095 bytes, its header says 4096"),
    ],
)
def test_what_is_no_kernel_is_named(tmp_path: Path, data: bytes, kind: str) -> None:
    with pytest.raises(UsageError, match=kind):
        inspect(tmp_path, data)


def test_a_cut_vmlinux_never_raises_anything_else(tmp_path: Path, store: Store) -> None:
    whole = vmlinux(store, tmp_path, BANNER)
    for size in range(0, len(whole), 37):
        try:
            inspect(tmp_path, whole[:size])
        except UsageError:
            continue


def test_a_vmlinux_without_its_last_byte_is_cut_short(tmp_path: Path, store: Store) -> None:
    with pytest.raises(UsageError, match="cut short"):
        inspect(tmp_path, vmlinux(store, tmp_path, BANNER)[:-1])


def test_a_signature_may_follow_a_bzimage(tmp_path: Path) -> None:
    assert inspect(tmp_path, bzimage() + b"signature").release == "6.12.1-amd64"


def test_a_damaged_vmlinux_never_raises_anything_else(tmp_path: Path, store: Store) -> None:
    whole = vmlinux(store, tmp_path, BANNER)
    for at in range(64 + 56 * 3):
        data = bytearray(whole)
        data[at] ^= 0xFF
        try:
            inspect(tmp_path, bytes(data))
        except UsageError:
            continue


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("/dev/null")):
        with pytest.raises(UsageError, match=str(path)):
            image.inspect(path, ARCH)


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.5+", (6, 18)), ("7.2.0-rc1-next", (7, 2)), ("next", (0, 0)), ("", (0, 0))],
)
def test_the_version_of_a_release(release: str, version: tuple[int, int]) -> None:
    assert image.version_of(release) == version
