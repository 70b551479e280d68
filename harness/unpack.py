"""Takes a package or a compressed file, gives the kernel images in it, unpacked into the store.

libarchive's bsdtar and bsdcat read all of them: .deb, .rpm, gzip, xz, zstd, bzip2, lzma, lz4. What
they read may be made to harm, or to fill the disk: they run in the sandbox.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import log, proc, sandbox
from harness.errors import HarnessError, HostError, UsageError
from harness.limits import Limits
from harness.store import Store, digest_of_file

_DEB, _RPM = b"!<arch>\n", b"\xed\xab\xee\xdb"
_COMPRESSED: tuple[bytes, ...] = (
    b"\x1f\x8b",  # gzip
    b"\xfd7zXZ\0",  # xz
    b"\x28\xb5\x2f\xfd",  # zstd
    b"BZh",  # bzip2
    b"\x5d\0\0",  # lzma: its usual properties, and a dictionary of whole 64 KiB
    b"\x04\x22\x4d\x18",  # lz4
    b"\x02\x21\x4c\x18",  # lz4 as the kernel's build writes it
)
# Where packages of distributions have a kernel and its .config; bsdtar's * matches a slash too.
_WANTED = (
    "*boot/vmlinu[xz]*",
    "*boot/bzImage*",
    "*boot/Image*",
    "*boot/config-*",
    "*lib/modules/*/vmlinu[xz]*",
    "*lib/modules/*/config",
)
# A kernel's debug package has half of it.
_LIMITS = Limits(time_s=1800.0, disk_mib=4096)
# As a user of their own would unpack: nobody's ownership, nobody's set-uid bits.
_EXTRACT = ("--extract", "--no-same-owner", "--no-same-permissions", "--file")


def is_packed(path: Path) -> bool:
    """Whether the file is a package or compressed, by its first bytes."""
    return _is_package(_magic(path)) or _magic(path).startswith(_COMPRESSED)


def contents(path: Path, shown: str, store: Store, limits: Limits = _LIMITS) -> dict[str, Path]:
    """Return the files of interest in a packed file: name within it → file in the store.

    What is compressed has one, under its own name. `shown` is what errors call the file.

    Raises:
        UsageError: it is damaged, an archive of another kind, or unpacks to more than it may.
        HostError: libarchive's programs are missing, or the disk is full.
    """
    packed = _Packed(path=path, shown=shown, limits=limits)

    def make(folder: Path) -> None:
        log.note(f"unpack {shown}")
        if _is_package(_magic(path)):
            packed.unpack(folder)
        else:
            packed.decompress(folder)

    entry = store.get_or_make("unpacked", {"file": digest_of_file(path)}, make)
    files = {str(f.relative_to(entry.path)): f for f in sorted(entry.path.rglob("*"))}
    return {n: f for n, f in files.items() if f.is_file() and n != "manifest.json"}


def _magic(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(8)


def _is_package(magic: bytes) -> bool:
    return magic.startswith((_DEB, _RPM))


class _Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A packed file, what errors call it, and how much may come of it."""

    path: Path
    shown: str
    limits: Limits

    def unpack(self, folder: Path) -> None:
        archive: Path | None = self.path
        if _magic(self.path).startswith(_DEB):
            # A .deb is an ar of tars; the program reads one layer at a time.
            self._extract(self.path, folder, ["data.tar*"])
            archive = next(folder.glob("data.tar*"), None)
            if archive is None:
                raise UsageError(
                    f"--kernel {self.shown}: an archive, but no package: it has no data.tar"
                )
        self._extract(archive or self.path, folder, _WANTED)
        if archive and archive != self.path:
            archive.unlink()
        # A link may lead out of the folder, and what it leads to has a name of its own.
        for link in [found for found in folder.rglob("*") if found.is_symlink()]:
            link.unlink()

    def _extract(self, archive: Path, folder: Path, wanted: Sequence[str]) -> None:
        include = [word for name in wanted for word in ("--include", name)]
        done = self._run(["bsdtar", *_EXTRACT, str(archive), *include], folder)
        if done.returncode != 0 and _complaints(done):
            raise _failure(self.shown, _complaints(done))

    def decompress(self, folder: Path) -> None:
        done = self._run(["bsdcat", str(self.path)], folder, folder / self.path.stem)
        if done.returncode != 0:
            raise _failure(self.shown, _complaints(done))

    def _run(
        self, argv: Sequence[str], folder: Path, out_path: Path | None = None
    ) -> proc.Completed:
        argv = [_which(argv[0]), *argv[1:]]
        limits = self.limits
        too_large = UsageError(f"--kernel {self.shown}: unpacks to more than {limits.disk_mib} MiB")
        try:
            done = sandbox.run(
                argv, read=[self.path], write=[folder], limits=limits, out_path=out_path
            )
        except proc.Breach as breach:
            raise too_large from breach
        # The kernel stops a file there; how the program ends then is its own affair.
        files = (path.lstat() for path in folder.rglob("*"))
        if any(file.st_size >= limits.disk_bytes for file in files):
            raise too_large
        return done


def _which(program: str) -> str:
    return proc.which(
        program,
        hint=f"{program} unpacks packages and compressed kernels; Debian's package "
        "libarchive-tools has it",
    )


def _complaints(done: proc.Completed) -> list[str]:
    """Return what the program found wrong; that a pattern matched nothing is no fault."""
    said = [x.partition(": ")[2] for x in done.error_text.splitlines() if x.startswith("bsd")]
    return [x for x in said if not x.endswith(("Not found in archive", "from previous errors."))]


def _failure(shown: str, said: list[str]) -> HarnessError:
    reason = said[0].removesuffix(": (null)") if said else "it cannot be read"
    if "No space left" in reason:
        return HostError(f"cannot unpack {shown}: {reason}", hint="`harness gc` makes room")
    return UsageError(f"--kernel {shown}: cut short or damaged ({reason})")
