"""Compresses an initramfs, in each way that a kernel can undo (usr/Kconfig, lib/decompress.c).

Takes an archive and a method's name, gives the packed archive in the store: the same bytes for
the same archive and compressor, with no time and no name in them.
"""

import difflib
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness import proc
from harness.errors import HostError, UsageError
from harness.job import Initramfs
from harness.store import Entry, Store, digest_of_file
from harness.toolchain import toolchain_id

NONE = "none"
ALL = "decompressors"
"""The flavor that has whatever any method needs: one kernel for all."""

_NAME = "initramfs.cpio"
# lzop and gzip keep a time; this one is as good as any.
_TIME = (0, 0)


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table: `symbol` is what the kernel needs to undo it.

    One of `pack` (archive's bytes → packed bytes) and `argv` (a program that is given the
    archive's path and prints the packed bytes; Debian has it in `package`).
    """

    name: str
    symbol: str
    pack: Callable[[bytes], bytes] | None = None
    argv: tuple[str, ...] = ()
    package: str = ""


def _gzip(data: bytes) -> bytes:
    import gzip  # noqa: PLC0415 - few boots are compressed, here and below

    return gzip.compress(data, compresslevel=9, mtime=0)


def _bzip2(data: bytes) -> bytes:
    import bz2  # noqa: PLC0415

    return bz2.compress(data)


def _lzma(data: bytes) -> bytes:
    import lzma  # noqa: PLC0415

    # lib/decompress_unlzma.c reads the format that came before .xz.
    return lzma.compress(data, format=lzma.FORMAT_ALONE)


def _xz(data: bytes) -> bytes:
    import lzma  # noqa: PLC0415

    # lib/xz in the kernel knows no other checksum (Documentation/staging/xz.rst).
    return lzma.compress(data, check=lzma.CHECK_CRC32)


METHODS = (
    Method(name="gzip", symbol="CONFIG_RD_GZIP", pack=_gzip),
    Method(name="bzip2", symbol="CONFIG_RD_BZIP2", pack=_bzip2),
    Method(name="lzma", symbol="CONFIG_RD_LZMA", pack=_lzma),
    Method(name="xz", symbol="CONFIG_RD_XZ", pack=_xz),
    Method(name="lzo", symbol="CONFIG_RD_LZO", argv=("lzop", "-9", "-c"), package="lzop"),
    # -l: the legacy frame is the only one lib/decompress_unlz4.c reads.
    Method(name="lz4", symbol="CONFIG_RD_LZ4", argv=("lz4", "-l", "-9", "-c"), package="lz4"),
    Method(name="zstd", symbol="CONFIG_RD_ZSTD", argv=("zstd", "-19", "-q", "-c"), package="zstd"),
)
_BY_NAME = {method.name: method for method in METHODS}
NAMES = (NONE, *_BY_NAME)


def check_name(name: str) -> None:
    """Check that there is a method of this name, or that it is `none`.

    Raises:
        UsageError: there is not; the message names the nearest, the hint all.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise UsageError(
            f"--compress {name}: no such compression"
            + (f"; did you mean {near[0]!r}?" if near else ""),
            hint=f"there are: {', '.join(NAMES)}",
        )


def kconfig_of(name: str, flavors: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the assignments that a kernel with `flavors` still lacks for an initramfs so packed.

    Raises:
        UsageError: as `check_name`.
    """
    check_name(name)
    return () if name == NONE or ALL in flavors else (f"{_BY_NAME[name].symbol}=y",)


def compress(initramfs: Initramfs, name: str, store: Store) -> tuple[Initramfs, Entry]:
    """Return `initramfs` compressed by the method `name`, from the store or made now.

    Raises:
        UsageError: there is no such method.
        HostError: the compressor is not here, or failed.
    """
    check_name(name)
    method = _BY_NAME[name]
    program = _find(method) if method.argv else ""
    inputs = {
        "archive": initramfs.digest,
        "method": " ".join((name, *method.argv)),
        "tool": toolchain_id(program, store) if program else f"Python {platform.python_version()}",
    }

    def make(scratch: Path) -> None:
        if method.pack:
            packed = method.pack(initramfs.path.read_bytes())
        else:
            packed = _by_program([program, *method.argv[1:]], initramfs.path, store)
        (scratch / _NAME).write_bytes(packed)

    entry = store.get_or_make("compressed", inputs, make)
    path = entry.path / _NAME
    return Initramfs(path=path, digest=digest_of_file(path)), entry


def _find(method: Method) -> str:
    return proc.which(method.argv[0], hint=f"install it (Debian: {method.package})")


def _by_program(argv: list[str], archive: Path, store: Store) -> bytes:
    with store.scratch("compress") as folder:
        # lzop writes the file's name, mode and time into what it makes.
        copy = folder / _NAME
        shutil.copyfile(archive, copy)
        copy.chmod(0o644)
        os.utime(copy, _TIME)
        done = proc.check([*argv, str(copy)])
    if not done.stdout:
        raise HostError(f"`{proc.quote(argv)}` printed nothing")
    return done.stdout
