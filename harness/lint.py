"""Takes a tree and files of it, gives what the compiler and sparse say of them when asked for more.

`make W=1 C=2` of exactly these files, in an O= folder of its own: with other flags the kernel's
own objects would have to be made again.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath

import msgspec

from harness import build, builddir, buildlog, outdir, proc, sandbox
from harness.arch import Arch
from harness.job import CompilerWarning, Kconfig, Tree
from harness.lane import Worktree
from harness.limits import Limits
from harness.pipeline import Pipeline
from harness.store import Store, write_atomically
from harness.toolchain import Toolchain, toolchain_id

_SCHEMA = "1"
_RESULT = "lint.json"
# Not targets of their own: the top Makefile hands them to another build.
_NO_TARGETS = ("arch/x86/boot/", "arch/x86/realmode/", "arch/x86/entry/vdso/", "scripts/", "tools/")
SPARSE = "sparse"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of each object's source, and why some of it was not: make's first error."""

    objects: dict[str, list[CompilerWarning]] = {}
    failed: str = ""


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """What compiles: `checkout` lends a worktree of the tree."""

    tree: Tree
    kconfig: Kconfig
    arch: Arch
    toolchain: Toolchain
    checkout: Callable[[], AbstractContextManager[Worktree]]
    store: Store
    limits: Limits


def maker_of(pipeline: Pipeline) -> Maker:
    """Return what compiles for a pipeline."""
    return Maker(
        tree=pipeline.tree, kconfig=pipeline.kconfig, arch=pipeline.arch,
        toolchain=pipeline.toolchain, checkout=pipeline.checkout, store=pipeline.store,
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
    sparse = proc.find(SPARSE)

    def make(folder: Path) -> None:
        (folder / _RESULT).write_bytes(msgspec.json.encode(_run(maker, objects, sparse)))

    entry = maker.store.get_or_make(
        "lint",
        {
            "schema": _SCHEMA,
            "tree": maker.tree.tree_hash,
            ".config": maker.kconfig.digest,
            "toolchain": maker.toolchain.identity,
            "sparse": toolchain_id(sparse, maker.store) if sparse else "none",
            "objects": " ".join(objects),
        },
        make,
    )
    return msgspec.json.decode((entry.path / _RESULT).read_bytes(), type=Found)


def _run(maker: Maker, objects: Sequence[str], sparse: str | None) -> Found:
    with maker.checkout() as worktree:
        out = worktree.out / f"{maker.kconfig.digest[:16]}lint"
        owner = "" if sandbox.kind() == sandbox.NONE else maker.tree.owner
        with builddir.lend(out, owner) as real:
            config = maker.kconfig.path.read_bytes()
            if not (real / ".config").is_file() or (real / ".config").read_bytes() != config:
                write_atomically(real / ".config", config)
            for name in objects:
                # Made before, they would say nothing.
                (real / name).unlink(missing_ok=True)
            log_path = real.with_suffix(".log")
            try:
                done = sandbox.run(
                    _argv(maker, worktree.path, out, objects, sparse),
                    read=[worktree.path], write=[out], behind={out: real}, limits=maker.limits,
                    env={**build.PINNED, "CCACHE_DISABLE": "1"}, log_path=log_path,
                    keep_fds=[worktree.lock_fd],
                )  # fmt: skip
            except proc.Breach as breach:
                builddir.discard(real)
                return Found(failed=breach.message)
            text = log_path.read_text(errors="replace")
            outdir.seal(real, remember=worktree.remember)
    failed = ""
    if done.returncode != 0:
        first = buildlog.headline(buildlog.first_error(text.splitlines()))
        failed = f"make failed: {first.strip()} (log: {log_path})"
    return Found(objects=_by_object(text, worktree.path), failed=failed)


def _argv(
    maker: Maker, source: Path, out: Path, objects: Sequence[str], sparse: str | None
) -> list[str]:
    return [
        proc.which("make"), "-C", str(source), f"O={out}",
        f"-j{len(os.sched_getaffinity(0))}", "-k", "--output-sync=target",
        *maker.arch.make_variables, *maker.toolchain.make_variables,
        f"CC={maker.toolchain.compiler}", "W=1", *(["C=2", f"CHECK={sparse}"] if sparse else []),
        *objects,
    ]  # fmt: skip


def _by_object(text: str, source: Path) -> dict[str, list[CompilerWarning]]:
    """Return the warnings by object; those that have no flag get the name of who says it."""
    found: dict[str, list[CompilerWarning]] = {}
    for target, warnings in buildlog.by_target(text, source).items():
        name = target.removeprefix(f"{source}/")
        # `CHECK x.c` is sparse; what is said at `CC x.o` without a flag is kernel-doc.
        told = SPARSE if name.endswith(".c") else "kernel-doc"
        found.setdefault(f"{name.removesuffix('.c').removesuffix('.o')}.o", []).extend(
            msgspec.structs.replace(each, flag=each.flag or told) for each in warnings
        )
    return found
