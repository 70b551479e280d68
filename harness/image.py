"""Takes a kernel image the user brought, says what it is: architecture, release, way to boot it.

Reads the file itself, nothing is run. What is no kernel that boots here is refused, by its kind.
"""

import mmap
import re
import struct
from pathlib import Path

from harness.arch import Arch
from harness.errors import UsageError
from harness.job import Kernel
from harness.store import digest_of_file

# Documentation/arch/x86/boot.rst, "Details of header fields".
_SETUP_SECTS = 0x1F1
_SYSSIZE = 0x1F4
_SETUP_MAGIC = slice(0x202, 0x206)
_SETUP_VERSION = 0x206
_KERNEL_VERSION = 0x20E  # where its text is, less 0x200
_XLOADFLAGS = 0x236
_XLF_KERNEL_64 = 1
# Documentation/arch/arm64/booting.rst, "Call the kernel image".
_ARM64_MAGIC = slice(0x38, 0x3C)

_ELF_CLASS_64 = 2
_ET_EXEC, _ET_DYN = 2, 3
_MACHINES = {3: "i386", 62: "x86_64", 183: "aarch64", 243: "riscv64", 22: "s390x", 21: "ppc64le"}
_PT_NOTE = 4
# QEMU enters a vmlinux through this note, which CONFIG_PVH makes.
_XEN_ELFNOTE_PHYS32_ENTRY = 18

_KINDS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", "gzip-compressed: unpack it first"),
    (0, b"\xfd7zXZ\0", "xz-compressed: unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "zstd-compressed: unpack it first"),
    (0, b"BZh", "bzip2-compressed: unpack it first"),
    (0, b"\x04\x22\x4d\x18", "lz4-compressed: unpack it first"),
    (0, b"\x02\x21\x4c\x18", "lz4-compressed: unpack it first"),
    (0, b"\x89LZO", "lzop-compressed: unpack it first"),
    (0, b"\x27\x05\x19\x56", "a U-Boot image"),
    (0, b"!<arch>\n", "an archive (a Debian package?)"),
    (0, b"\xed\xab\xee\xdb", "an RPM package"),
    (0, b"070701", "an initramfs"),
    (0, b"#!", "a script"),
    (0, b"MZ\0\0zimg", "a compressed EFI kernel"),
    (0, b"MZ", "a Windows or EFI program"),
)


def inspect(path: Path, arch: Arch, *, shown: str = "") -> Kernel:
    """Return what the image at `path` is; errors call it `shown`, if that is given.

    Raises:
        UsageError: it cannot be read, is no kernel, is one for another architecture, or one
            that QEMU cannot enter.
    """
    name = Path(shown or path)
    try:
        with path.open("rb") as stream:
            size = path.stat().st_size
            if not path.is_file():
                raise UsageError(f"--kernel {name}: no regular file")
            if size == 0:
                raise UsageError(f"--kernel {name}: the file is empty")
            with mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ) as data:
                banner = _look(name, data, arch)
    except OSError as error:
        raise UsageError(f"--kernel {name}: {error.strerror or error}") from error
    return Kernel(
        arch=arch.name,
        release=banner.split()[2],
        banner=banner,
        image=path.resolve(),
        digest=digest_of_file(path),
        built=False,
    )


def version_of(release: str) -> tuple[int, int]:
    """Return (major, minor) of a release such as 6.18.5-rc1+; (0, 0) if it has none."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _look(path: Path, data: mmap.mmap, arch: Arch) -> str:
    try:
        if data[:4] == b"\x7fELF":
            return _look_at_elf(path, data, arch)
        if data[_SETUP_MAGIC] == b"HdrS":
            return _look_at_bzimage(path, data, arch)
        if data[_ARM64_MAGIC] == b"ARM\x64":
            return _look_at_arm64_image(path, data, arch)
    except (struct.error, IndexError, OverflowError, ValueError) as error:
        raise UsageError(f"--kernel {path}: cut short or damaged") from error
    kind = next((k for at, magic, k in _KINDS if data[at : at + len(magic)] == magic), None)
    if kind is None:
        kind = "text" if b"\0" not in data[:512] else f"{len(data)} bytes of something else"
    names = (arch.target, Path(arch.packed_image).name)
    raise UsageError(
        f"--kernel {path}: no kernel image but {kind}",
        hint=f"expected {' or '.join(dict.fromkeys(names))} for {arch.name}",
    )


def _look_at_bzimage(path: Path, data: mmap.mmap, arch: Arch) -> str:
    _check_arch(path, arch, "x86_64" if _is_64_bit_bzimage(data) else "i386")
    (pointer,) = struct.unpack_from("<H", data, _KERNEL_VERSION)
    start = pointer + 0x200
    text = data[start : start + 256].partition(b"\0")[0].decode(errors="replace")
    # "6.12.1-amd64 (who@where) #1 SMP when"; the console has the compiler before the "#1".
    match = re.match(r"\d+\.\d+\S*( \([^)]*\))?", text) if pointer else None
    if match is None:
        raise UsageError(f"--kernel {path}: a bzImage that does not say its version")
    (paragraphs,) = struct.unpack_from("<I", data, _SYSSIZE)
    # 0 stands for 4; a signature may come after.
    _check_whole(path, data, ((data[_SETUP_SECTS] or 4) + 1) * 512 + paragraphs * 16)
    return f"Linux version {match[0]}"


def _is_64_bit_bzimage(data: mmap.mmap) -> bool:
    (version,) = struct.unpack_from("<H", data, _SETUP_VERSION)
    (flags,) = struct.unpack_from("<H", data, _XLOADFLAGS)
    # Boot protocol 2.12 brought the flags; kernels before it (3.8) are not told apart.
    return version < 0x20C or bool(flags & _XLF_KERNEL_64)  # noqa: PLR2004


def _look_at_arm64_image(path: Path, data: mmap.mmap, arch: Arch) -> str:
    _check_arch(path, arch, "aarch64")
    banner = _banner(data)
    if banner is None:
        raise UsageError(f"--kernel {path}: an Image that does not say its version")
    return banner


def _look_at_elf(path: Path, data: mmap.mmap, arch: Arch) -> str:
    order = "<" if data[5] == 1 else ">"
    kind, machine = struct.unpack_from(f"{order}HH", data, 16)
    _check_arch(path, arch, _MACHINES.get(machine, f"ELF machine {machine}"))
    if kind not in {_ET_EXEC, _ET_DYN}:
        raise UsageError(f"--kernel {path}: no kernel but an object file (a module?)")
    banner = _banner(data)
    if banner is None:
        raise UsageError(f"--kernel {path}: no kernel but an ELF program")
    _check_whole(path, data, _end_of_elf(data, order))
    if not arch.elf_entry or not _has_pvh_entry(data):
        without = f" without {arch.elf_entry}" if arch.elf_entry else ""
        raise UsageError(
            f"--kernel {path}: a vmlinux{without}, which QEMU cannot enter",
            hint=f"give the {arch.packed_image} of the same build",
        )
    return banner


def _banner(data: mmap.mmap) -> str | None:
    # As far as the "#1": what follows is put in at the very end of a build.
    match = re.search(rb"Linux version \d+\.\d+[^\0\n#]*", data)
    return match[0].decode(errors="replace").strip() if match else None


def _end_of_elf(data: mmap.mmap, order: str) -> int:
    """Return where the section headers end, which linkers put last."""
    if data[4] != _ELF_CLASS_64:
        return 0
    (headers,) = struct.unpack_from(f"{order}Q", data, 40)
    size, count = struct.unpack_from(f"{order}HH", data, 58)
    return int(headers + size * count)


def _has_pvh_entry(data: mmap.mmap) -> bool:
    if data[4] != _ELF_CLASS_64:
        return False
    (headers,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for index in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", data, headers + index * size)
        if kind == _PT_NOTE and _has_note(data, offset, offset + length):
            return True
    return False


def _has_note(data: mmap.mmap, at: int, end: int) -> bool:
    while at + 12 <= end:
        name_size, size, kind = struct.unpack_from("<III", data, at)
        name = data[at + 12 : at + 12 + name_size]
        if kind == _XEN_ELFNOTE_PHYS32_ENTRY and name == b"Xen\0":
            return True
        at += 12 + _aligned(name_size) + _aligned(size)
    return False


def _check_whole(path: Path, data: mmap.mmap, size: int) -> None:
    if len(data) < size:
        raise UsageError(f"--kernel {path}: cut short: {len(data)} bytes, its header says {size}")


def _aligned(size: int) -> int:
    return (size + 3) & ~3


def _check_arch(path: Path, arch: Arch, found: str) -> None:
    if found != arch.uname:
        raise UsageError(
            f"--kernel {path}: a kernel or program for {found}, expected {arch.uname}",
            hint="--arch chooses another",
        )
