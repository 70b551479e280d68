"""Kernel images for tests, and what distributions put them into."""

import gzip
import shutil
import struct
import subprocess
from pathlib import Path

import tiny_guest as guest

from harness.store import Store

VERSION = "6.12.1-amd64 (who@where) #1 SMP Thu Jan  1 00:00:00 UTC 1970"
BANNER = "Linux version 6.12.1-amd64 (who@where)"
SIZE = 0x1000


def bzimage(version: str = VERSION, *, xloadflags: int = 1, protocol: int = 0x20F) -> bytes:
    """A bzImage as far as its header goes; it says that it is as long as it is."""
    data = bytearray(SIZE)
    data[0x1F1] = 3
    struct.pack_into("<I", data, 0x1F4, (SIZE - 4 * 512) // 16)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, protocol)
    struct.pack_into("<H", data, 0x20E, 0x400)
    struct.pack_into("<H", data, 0x236, xloadflags)
    data[0x600 : 0x600 + len(version)] = version.encode()
    return bytes(data)


def vmlinux(store: Store, folder: Path, banner: str) -> bytes:
    """A real ELF with a real PVH note, which says it is Linux."""
    text = guest.HALT + f'\n.section .rodata\n.asciz "%s version"\n.asciz "{banner}"\n'
    return guest.build(text, folder, store).read_bytes()


def aarch64() -> bytes:
    """An Image for another architecture, as far as its magic goes."""
    return b"MZ" + bytes(0x36) + b"ARM\x64" + bytes(64)


def deb(
    path: Path,
    files: dict[str, bytes],
    *,
    name: str = "linux-image-x",
    version: str = "1",
    depends: str = "",
) -> Path:
    """Build a .deb with dpkg-deb; a name that ends in @ makes a link to what its bytes say."""
    tree = path.with_suffix(".tree")
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n"
        "Maintainer: tester <tester@harness.invalid>\n"
        + (f"Depends: {depends}\n" if depends else "")
        + "Description: a kernel\n"
    )
    for file, data in files.items():
        target = tree / file.removesuffix("@")
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.endswith("@"):
            target.symlink_to(data.decode())
        else:
            target.write_bytes(data)
    run = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(path)]
    subprocess.run(run, check=True, capture_output=True)
    shutil.rmtree(tree)
    return path


def rpm(path: Path, files: dict[str, bytes]) -> Path:
    """Write an RPM: lead, two empty headers, a gzipped cpio (rpm's doc/manual/format.md)."""
    lead = b"\xed\xab\xee\xdb\x03\0" + struct.pack(">HH66sHH16x", 0, 1, b"kernel-x", 1, 5)
    header = b"\x8e\xad\xe8\x01" + bytes(12)
    tree = path.with_suffix(".tree")
    for file, data in files.items():
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_bytes(data)
    names = "".join(f"./{file}\n" for file in files).encode()
    run = ["cpio", "--create", "--quiet", "--format=newc"]
    made = subprocess.run(run, cwd=tree, input=names, check=True, capture_output=True)
    shutil.rmtree(tree)
    path.write_bytes(lead + header + header + gzip.compress(made.stdout))
    return path


def packed(path: Path, filter_: str) -> Path:
    """Compress a file with libarchive: `filter_` is gzip, xz, zstd, bzip2, lzma or lz4."""
    target = path.with_name(f"{path.name}.{filter_}")
    run = ["bsdtar", "--create", "--format=raw", f"--{filter_}", "--file", str(target), path.name]
    subprocess.run(run, cwd=path.parent, check=True, capture_output=True)
    return target
