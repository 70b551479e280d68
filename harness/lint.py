"""Takes a tree and files of it, gives what a compiler and sparse say of them when asked for more.

`make W=1 C=2` of exactly these files, in an O= folder of its own: with other flags, or another
compiler, the kernel's own objects would have to be made again.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath

import msgspec

from harness import build, builddir, buildlog, makefault, outdir, proc, sandbox
from harness.arch import Arch
from harness.job import CompilerWarning, Kconfig, Tree
from harness.lane import Worktree
from harness.limits import Limits
from harness.pipeline import Pipeline
from harness.store import Store, write_atomically
from harness.toolchain import Toolchain, hidden, toolchain_id

_SCHEMA = "2"
_RESULT = "lint.json"
# Not targets of their own: the top Makefile hands them to another build.
_NO_TARGETS = ("arch/x86/boot/", "arch/x86/realmode/", "arch/x86/entry/vdso/", "scripts/", "tools/")
SPARSE = "sparse"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of each object's source, and why some of it was not: make's first error."""

    objects: dict[str, list[CompilerWarning]] = {}
    failed: str = ""
    sparse: str = ""
    """The version of sparse, if it was asked."""


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """What compiles, for the check of that name: `checkout` lends a worktree of the tree."""

    check: str
    has_sparse: bool
    tree: Tree
    kconfig: Kconfig
    arch: Arch
    toolchain: Toolchain
    checkout: Callable[[], AbstractContextManager[Worktree]]
    store: Store
    limits: Limits


def maker_of(
    pipeline: Pipeline,
    *,
    check: str = "W=1",
    has_sparse: bool = False,
    other: Toolchain | None = None,
) -> Maker:
    """Return what compiles for a pipeline, with its own toolchain or another."""
    return Maker(
        check=check, has_sparse=has_sparse,
        tree=pipeline.tree, kconfig=pipeline.kconfig, arch=pipeline.arch,
        toolchain=other or pipeline.toolchain, checkout=pipeline.checkout, store=pipeline.store,
        limits=pipeline.settings.limits,
    )  # fmt: skip


def objects_of(files: Iterable[str], compiled: frozenset[str]) -> list[str]:
    """Return the objects of those of `files` that are compiled and can be asked for alone."""
    return sorted(
        str(PurePosixPath(name).with_suffix(".o"))
        for name in files
        if name in compiled and name.endswith(".c") and not name.startswith(_NO_TARGETS)
    )


def run(maker: Maker, objects: Sequence[str]) -> Found:
    """Return what is said of some objects' sources; equal questions are answered once.

    Raises:
        HostError: make is missing, or the machine failed it.
    """
    if not objects:
        return Found()
    sparse = proc.find(SPARSE) if maker.has_sparse else None
    version = toolchain_id(sparse, maker.store) if sparse else ""

    def make(folder: Path) -> None:
        (folder / _RESULT).write_bytes(msgspec.json.encode(look()))

    def look() -> Found:
        return msgspec.structs.replace(_run(maker, objects, sparse), sparse=version)

    entry = maker.store.get_or_make(
        "lint",
        {
            "schema": _SCHEMA,
            "tree": maker.tree.tree_hash,
            ".config": maker.kconfig.digest,
            "toolchain": maker.toolchain.identity,
            "check": maker.check,
            "sparse": version or "none",
            "objects": " ".join(objects),
        },
        make,
    )
    return msgspec.json.decode((entry.path / _RESULT).read_bytes(), type=Found)


def _run(maker: Maker, objects: Sequence[str], sparse: str | None) -> Found:
    with maker.checkout() as worktree:
        own = "lint" if maker.check == "W=1" else maker.check
        out = worktree.out / f"{maker.kconfig.digest[:16]}{own}"
        owner = "" if sandbox.kind() == sandbox.NONE else maker.tree.owner
        with builddir.lend(out, owner) as real:
            # One that is there is made of this one: the folder's name says so.
            is_new = not (real / ".config").is_file()
            if is_new:
                write_atomically(real / ".config", maker.kconfig.path.read_bytes())
            for name in objects:
                # Made before, they would say nothing.
                (real / name).unlink(missing_ok=True)
            # Another compiler answers some questions otherwise.
            config = ["olddefconfig"] if is_new and maker.check == "clang" else []
            log_path = real.with_suffix(".log")
            try:
                done = sandbox.run(
                    _argv(maker, worktree.path, out, [*config, *objects], sparse),
                    read=[worktree.path], write=[out], behind={out: real}, limits=maker.limits,
                    env={**build.PINNED, "CCACHE_DISABLE": "1"}, log_path=log_path,
                    keep_fds=[worktree.lock_fd],
                )  # fmt: skip
            except proc.Breach as breach:
                builddir.discard(real)
                return Found(failed=breach.message)
            text = log_path.read_text(errors="replace")
            if done.returncode != 0:
                makefault.check(f"{maker.check} (log: {log_path})", done.returncode, text, real)
            outdir.seal(real, remember=worktree.remember)
    failed = ""
    if done.returncode != 0:
        first = buildlog.headline(buildlog.first_error(text.splitlines()))
        failed = f"make failed: {first.strip()} (log: {log_path})"
    return Found(objects=_by_object(text, worktree.path), failed=failed)


def _argv(
    maker: Maker, source: Path, out: Path, goals: Sequence[str], sparse: str | None
) -> list[str]:
    return [
        proc.which("make"), "-C", str(source), f"O={out}",
        f"-j{len(os.sched_getaffinity(0))}", "-k", "--output-sync=target",
        *maker.arch.make_variables, *maker.toolchain.make_variables,
        f"CC={maker.toolchain.compiler}", "W=1", *(["C=2", f"CHECK={sparse}"] if sparse else []),
        *hidden(maker.kconfig.path.read_text().splitlines()),
        *goals,
    ]  # fmt: skip


def _by_object(text: str, source: Path) -> dict[str, list[CompilerWarning]]:
    """Return the warnings by object; those of sparse get its name for a flag."""
    found: dict[str, list[CompilerWarning]] = {}
    for target, warnings in buildlog.by_target(text, source).items():
        name = target.removeprefix(f"{source}/")
        # `CHECK x.c` is sparse. What has no flag at `CC x.o` is kernel-doc, which is asked itself.
        is_sparse = name.endswith(".c")
        found.setdefault(f"{name.removesuffix('.c').removesuffix('.o')}.o", []).extend(
            msgspec.structs.replace(each, flag=each.flag or SPARSE)
            for each in warnings
            if each.flag or is_sparse
        )
    return found
