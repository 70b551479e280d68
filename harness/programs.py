"""Takes names of this machine's programs, gives an initramfs that has them and what they load.

Each lands in the guest's /bin; a shared library and the loader where the program looks for them.
The guest has to be of this machine's architecture.
"""

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from harness import cpio, proc
from harness.arch import Arch
from harness.errors import HostError
from harness.job import Initramfs
from harness.store import Store, digest_of_file

# Bump when the same inputs should give other bytes.
SCHEMA = 1

_NAME = "initramfs.cpio"
_ELF = b"\x7fELF"

# "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)", "/lib64/ld-linux-x86-64.so.2 (0x…)".
# linux-vdso.so.1 is the kernel's own and has no path.
_LOADED = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_MISSING = re.compile(r"^\s*(\S+) => not found$", re.MULTILINE)

# Where administrators' programs are, which need not be on a user's PATH.
_ADMIN_PATH = "/usr/sbin:/sbin:/usr/local/sbin"


def add(plain: Initramfs, names: Sequence[str], *, arch: Arch, store: Store) -> Initramfs:
    """Return the archive with this machine's programs `names` in `/bin`, libraries and all.

    Raises:
        HostError: a program or a library of it is not here, or the guest is no such machine.
    """
    found = {name: _find(name, arch) for name in names}
    libraries = {path for program in found.values() for path in libraries_of(program)}
    files = {f"bin/{name}": path for name, path in found.items()}
    files |= {str(path).lstrip("/"): path for path in libraries}
    inputs = {"schema": str(SCHEMA), "plain": plain.digest}
    inputs |= {name: digest_of_file(path) for name, path in files.items()}

    def make(scratch: Path) -> None:
        members = {m.name: m for m in cpio.read(plain.path.read_bytes(), where=plain.path)}
        members |= {name: cpio.file(name, path, 0o755) for name, path in files.items()}
        for folder in _folders(files):
            members.setdefault(folder, cpio.folder(folder))
        with (scratch / _NAME).open("wb") as stream:
            cpio.write(stream, members.values())

    path = store.get_or_make("initramfs", inputs, make).path / _NAME
    return Initramfs(path=path, digest=digest_of_file(path))


def libraries_of(program: Path) -> tuple[Path, ...]:
    """Return the loader and the libraries that a program needs; none if it is static or a script.

    Raises:
        HostError: a library is not here.
    """
    with program.open("rb") as stream:
        if stream.read(len(_ELF)) != _ELF:
            return ()
    # It exits 1 and names no file for a static program.
    ldd = proc.which("ldd", hint="it comes with the C library (Debian: libc-bin)")
    said = proc.run([ldd, str(program)])
    missing = _MISSING.findall(said.text)
    if missing:
        raise HostError(
            f"{program} needs {missing[0]}, which is not here",
            hint="install what the program needs, and see that it runs",
        )
    return tuple(Path(path) for path in _LOADED.findall(said.text))


def _find(name: str, arch: Arch) -> Path:
    if not arch.is_native:
        raise HostError(
            f"the guest is to have this machine's {name}, which does not run on {arch.name}",
            hint="leave out the flows that need it, or boot a guest of this machine's architecture",
        )
    path = shutil.which(name) or shutil.which(name, path=_ADMIN_PATH)
    if path is None:
        raise HostError(f"{name} is not here, and the guest is to have it", hint=f"install {name}")
    return Path(path)


def _folders(names: Iterable[str]) -> set[str]:
    return {
        str(folder)
        for name in names
        for folder in PurePosixPath(name).parents
        if str(folder) != "."
    }
