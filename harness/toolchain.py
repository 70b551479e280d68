"""The compilers of a kernel: gcc and binutils, or LLVM's; and what each calls itself.

Takes a name and an architecture, gives what make must be told and an identity for the keys: the
first line of each program's `--version`. That is remembered by the program's stat, so a warm path
costs no process; the stat is no part of any key.
"""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from harness import notes, proc
from harness.arch import Arch
from harness.errors import HostError, UsageError
from harness.store import Store, digest_of

# Programs that stand in for a compiler: theirs is not the version that counts, and they do not
# change when the compiler does.
_WRAPPERS = frozenset({"ccache", "sccache", "distcc", "icecc"})


# LLVM=-19 is kbuild's way to say clang-19, and so on (Documentation/kbuild/llvm.rst).
_LLVM = re.compile(r"llvm(?P<suffix>(?:-\d+)?)")
# What a build starts of it. The version of the first two is that of all.
_LLVM_PROGRAMS = ("clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-readelf")

# Kconfig writes the versions of these into every .config. Few kernels need them: by the symbol of
# those that do, the names that make and PATH have for them.
_OPTIONAL = {
    "CONFIG_RUST": {"RUSTC": "rustc", "BINDGEN": "bindgen"},
    "CONFIG_DEBUG_INFO_BTF": {"PAHOLE": "pahole"},
}
# There is no program of this name.
_ABSENT = "none"


class Toolchain(msgspec.Struct, frozen=True, kw_only=True):
    """The compilers of a build. `identity` changes with any of them; `ccache` is its path."""

    identity: str
    compiler: str
    ccache: str | None = None
    make_variables: tuple[str, ...] = ()


def find(name: str, arch: Arch, store: Store) -> Toolchain:
    """Return the toolchain `name` for `arch`: `gcc`, `llvm`, or `llvm-19` for that version.

    Raises:
        UsageError: there is no toolchain of that name.
        HostError: a program of it is missing.
    """
    match = _LLVM.fullmatch(name)
    if match:
        suffix = match["suffix"]
        packages = " ".join(f"{package}{suffix}" for package in ("clang", "lld", "llvm"))
        hint = f"install LLVM (Debian: apt-get install {packages})"
        compiler, linker, *_ = [
            proc.which(program + suffix, hint=hint) for program in _LLVM_PROGRAMS
        ]
        return Toolchain(
            identity=_identity([compiler, linker], store),
            compiler=f"clang{suffix}",
            ccache=shutil.which("ccache"),
            make_variables=(f"LLVM={suffix or 1}",),
        )
    if name != "gcc":
        raise UsageError(f"unknown toolchain {name!r}", hint="known are gcc, llvm and llvm-VERSION")
    compiler = f"{arch.cross_compile}gcc"
    return Toolchain(
        identity=_identity(
            [
                proc.which(program, hint=f"`harness doctor` names the package of {program}")
                for program in (compiler, f"{arch.cross_compile}ld")
            ],
            store,
        ),
        compiler=compiler,
        ccache=shutil.which("ccache"),
    )


def newest_llvm() -> str | None:
    """Return the name of LLVM's newest toolchain on PATH, or None if there is none."""
    found = [0] if proc.find("clang") else []
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found += [
            int(path.name.partition("-")[2]) for path in Path(folder).glob("clang-[1-9]*[0-9]")
            if path.name.partition("-")[2].isdigit()
        ]  # fmt: skip
    return f"llvm-{max(found)}" if any(found) else "llvm" if found else None


def hidden(lines: Iterable[str]) -> list[str]:
    """Return what make must be told with a .config or fragment: which programs it shall not find.

    What is installed here and not asked for makes no other kernel.
    """
    asked = {line.partition("=y")[0] for line in lines}
    return [
        f"{variable}={_ABSENT}"
        for symbol, programs in _OPTIONAL.items()
        for variable in programs
        if symbol not in asked
    ]


def optional_identity(store: Store) -> str:
    """Return how the programs call themselves that a .config may ask for."""
    names = [name for programs in _OPTIONAL.values() for name in programs.values()]
    return "; ".join(_optional_id(name, store) for name in names)


def _optional_id(name: str, store: Store) -> str:
    path = proc.find(name)
    try:
        return toolchain_id(path, store) if path else f"no {name}"
    except HostError:
        # One of rustup's that stands for nothing: Kconfig has no answer of it either.
        return f"no {name}"


def _identity(programs: list[str], store: Store) -> str:
    return "; ".join(toolchain_id(program, store) for program in programs)


def toolchain_id(path: str, store: Store) -> str:
    """Return how the program at `path` names itself and its version.

    Raises:
        HostError: there is no such program, or it does not run.
    """
    try:
        real = Path(path).resolve(strict=True)
        seen = real.stat()
    except OSError as error:
        raise HostError(f"cannot use {path}: {error.strerror}") from error
    if real.name in _WRAPPERS:
        return _ask(path)
    # The name counts too: one file may be several programs by the name it is called.
    facts = repr((Path(path).absolute(), real, seen.st_size, seen.st_mtime_ns, seen.st_ino))
    note = store.root / "toolchain" / f"{digest_of(facts.encode())[:32]}.json"
    known = notes.read(note, facts)
    if known:
        return known["version"]
    version = _ask(path)
    notes.write(note, facts, {"version": version})
    return version


def _ask(path: str) -> str:
    text = proc.check([path, "--version"], timeout_s=30).text
    if not text:
        raise HostError(f"`{path} --version` says nothing")
    return text.splitlines()[0]
